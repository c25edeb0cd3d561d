/** Possible locations of the MPI library. */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Launcher } from '../launch.ts';
import type { Family } from './abi.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** File names of the library by implementation, newest first. The first has the MPI standard's ABI. */
const fileNames: Readonly<
  Record<'linux' | 'darwin', Readonly<Record<Family | 'standard', readonly string[]>>>
> = {
  linux: {
    standard: ['libmpi_abi.so.1'],
    openmpi: ['libmpi.so.40'],
    mpich: ['libmpi.so.12', 'libmpich.so.12', 'libmpi_cray.so.12'],
  },
  darwin: {
    standard: ['libmpi_abi.1.dylib', 'libmpi_abi.dylib'],
    openmpi: ['libmpi.40.dylib'],
    mpich: ['libmpi.12.dylib', 'libpmpi.12.dylib'],
  },
};

/** The implementations that a launcher may start. */
export const familiesOf: Readonly<Record<Launcher, readonly Family[]>> = {
  openmpi: ['openmpi'],
  hydra: ['mpich'],
  slurm: ['openmpi', 'mpich'],
  pmix: ['openmpi', 'mpich'],
};

/** Names and paths to try, in order. The system's loader looks up a bare name. */
export function libraryCandidates(launcher: Launcher, environment: Environment): string[] {
  const names = namesFor(launcher);
  const folders = launcherFolders(environment).flatMap(libraryFolders);
  const paths = [...new Set(folders)].flatMap((folder) => names.map((name) => join(folder, name)));
  return [...paths, ...names];
}

function namesFor(launcher: Launcher): string[] {
  const byFamily = fileNames[process.platform === 'darwin' ? 'darwin' : 'linux'];
  return [...byFamily.standard, ...familiesOf[launcher].flatMap((family) => byFamily[family])];
}

/** Installation prefixes: from variables of launchers and modules, from parent processes, and from mpirun on the PATH. */
function launcherFolders(environment: Environment): string[] {
  const prefixes = ['OPAL_PREFIX', 'I_MPI_ROOT', 'MPI_HOME', 'MPI_ROOT', 'CRAY_MPICH_DIR']
    .map((name) => environment[name] ?? '')
    .filter((path) => path !== '');
  return [...prefixes, ...ancestors().map(prefixOf), ...onPath(environment).map(prefixOf)];
}

const libraryFolders = (prefix: string): string[] =>
  ['lib', 'lib64', join('lib', 'release')].map((name) => join(prefix, name));

/** The installation of a program in its folder bin. */
const prefixOf = (program: string): string => dirname(dirname(program));

/** Paths of the launchers among the processes above this one; Linux only. */
function ancestors(): string[] {
  const found: string[] = [];
  try {
    for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) {
      const program = readlinkSync(`/proc/${pid}/exe`);
      if (/(mpi|hydra|prte)[^/]*$/.test(program)) found.push(program);
    }
  } catch {
    // no /proc, or a process of another user: the names below remain
  }
  return found;
}

/** From /proc/PID/stat: `pid (name) state ppid …`, where the name may hold anything. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function onPath(environment: Environment): string[] {
  return (environment['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .flatMap((folder) => {
      try {
        return [realpathSync(join(folder, 'mpirun'))];
      } catch {
        return []; // no mpirun there
      }
    });
}
