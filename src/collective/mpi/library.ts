/** Finds and opens the MPI library that belongs to the launcher. */
import type { DynamicLibrary } from 'node:ffi';
import { basename } from 'node:path';
import { UserError } from '../../errors.ts';
import { loadFfi } from '../../ffi.ts';
import { launcherNames, type Launcher } from '../launch.ts';
import { familyOf, mpichAbi, openMpiAbi, standardAbi, type Abi } from './abi.ts';
import { familiesOf, libraryCandidates } from './candidates.ts';

export interface OpenLibrary {
  readonly library: DynamicLibrary;
  readonly abi: Abi;
  /** Name and version, such as `Open MPI v5.0.11`. */
  readonly version: string;
}

/** The variable that names the library. */
export const VARIABLE = 'GPT_MPI';

/**
 * @param environment of the process; `GPT_MPI` is the library's path or name, and the only candidate
 * @throws UserError if there is no library that fits
 */
export function openMpi(
  launcher: Launcher,
  environment: Readonly<Record<string, string | undefined>>,
): OpenLibrary {
  const ffi = ffiForMpi();
  const named = environment[VARIABLE] || undefined;
  const rejected: string[] = [];
  for (const path of named === undefined ? libraryCandidates(launcher, environment) : [named]) {
    let library: DynamicLibrary;
    try {
      library = new ffi.DynamicLibrary(path);
    } catch (error) {
      // dlopen's text names the file, or one that it depends on.
      const reason = String(error instanceof Error ? error.message : error);
      if (named !== undefined || !isMissing(reason, path)) rejected.push(`${path}: ${reason}`);
      continue;
    }
    const found = identify(library, launcher);
    if (typeof found !== 'string') return found;
    rejected.push(`${path} ${found}`);
  }
  throw noLibrary(launcher, named, rejected);
}

function ffiForMpi(): typeof import('node:ffi') {
  try {
    return loadFfi();
  } catch (error) {
    throw new UserError(
      'mpi-unavailable',
      `MPI cannot be called: ${error instanceof Error ? error.message : String(error)}`,
      { hint: 'install the optional dependencies of gpt, which bring a newer Node, or run gpt with one' },
    );
  }
}

const isMissing = (reason: string, path: string): boolean =>
  reason.includes(basename(path)) && /no such file|cannot open shared object|image not found/i.test(reason);

/** The library with its handles, or why it is not used. */
function identify(library: DynamicLibrary, launcher: Launcher): OpenLibrary | string {
  const text = versionOf(library);
  if (text === undefined)
    return 'has no MPI_Get_library_version: it is not an MPI library, or older than MPI 3';
  const version = shortVersion(text);
  const family = familyOf(text);
  if (family !== undefined && !familiesOf[launcher].includes(family))
    return `is ${version}, which ${launcherNames[launcher]} does not start`;
  if (hasStandardAbi(library)) return { library, abi: standardAbi, version };
  if (family === undefined) return `is '${version}', which is unknown, and has no MPI-5 ABI`;
  return { library, abi: family === 'openmpi' ? openMpiAbi : mpichAbi, version };
}

/** MPI_MAX_LIBRARY_VERSION_STRING where it is largest. */
const LONGEST_VERSION = 8192;

/** The output of MPI_Get_library_version, which may be called before MPI_Init; undefined without that function. */
function versionOf(library: DynamicLibrary): string | undefined {
  const text = new Uint8Array(LONGEST_VERSION);
  const length = new Int32Array(1);
  const call = functionOf(library, 'MPI_Get_library_version', ['pointer', 'pointer']);
  if (call === undefined || call(addressOfView(text), addressOfView(length)) !== 0) return undefined;
  return new TextDecoder('latin1').decode(text.subarray(0, length[0])).replace(/\0.*/s, '');
}

/** A library without the standard's ABI answers −1, even if it has the function. */
function hasStandardAbi(library: DynamicLibrary): boolean {
  const version = new Int32Array(2);
  const call = functionOf(library, 'MPI_Abi_get_version', ['pointer', 'pointer']);
  const code = call?.(addressOfView(version), addressOfView(version.subarray(1)));
  return code === 0 && version[0] === 1;
}

/** A function that returns an error code of MPI. */
export type MpiFunction = (...values: readonly (number | bigint)[]) => number;

/** Undefined if the library has no such function. */
export function functionOf(
  library: DynamicLibrary,
  name: string,
  types: readonly ('int32' | 'pointer')[],
): MpiFunction | undefined {
  try {
    library.getSymbol(name);
  } catch {
    return undefined;
  }
  return library.getFunction(name, { arguments: types, return: 'int32' });
}

export const addressOfView = (view: NodeJS.ArrayBufferView): bigint => loadFfi().getRawPointer(view);

/** `Open MPI v5.0.11, package: …` and `MPICH Version:      5.0.2\n…` as one short text. */
const shortVersion = (text: string): string =>
  text
    .split(/[\n,]/)[0]
    .replace(/\s*Version\s*:\s*/i, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 80);

function noLibrary(launcher: Launcher, named: string | undefined, rejected: readonly string[]): UserError {
  const what =
    rejected.length > 0
      ? rejected.join('; ')
      : `no MPI library was found beside the launcher or where the system looks`;
  return new UserError(
    'mpi-unavailable',
    `this process was started by ${launcherNames[launcher]}, but ${what}`,
    {
      hint:
        named === undefined
          ? `set ${VARIABLE} to the path of the library of that launcher, such as /opt/openmpi/lib/libmpi.so.40`
          : `${VARIABLE} must be the path of a library of Open MPI, MPICH, or one compatible with MPICH or MPI 5`,
    },
  );
}
