import { freemem, hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { run as runAlone } from '../cli/run.ts';
import {
  bundledNode,
  implementations,
  installationOf,
  isAlive,
  mpirun,
  type Implementation,
  type MpiRunOptions,
} from './mpirun.ts';

const script = fileURLToPath(new URL('rank.ts', import.meta.url));

/** A library of each implementation, and its name. MPICH has one with its own ABI beside the standard's. */
const libraries: Readonly<Record<Implementation, { file: string; name: string }>> = {
  openmpi: { file: 'libmpi.so.40', name: 'Open MPI v5.0.11' },
  mpich: { file: 'libmpi.so.12', name: 'MPICH 5.0.2' },
};
const libraryOf = (name: Implementation): string => join(installationOf(name), 'lib', libraries[name].file);

const countDone = (output: string): number => output.match(/^rank \d+ of \d+ on .* done$/gm)?.length ?? 0;

/** In bytes. Each of two processes holds such a message. */
const LONG = 2 ** 31 + 12_345;

describe.each(implementations)('%s', (implementation) => {
  const run = (task: readonly string[], options: MpiRunOptions) =>
    mpirun(implementation, [script, ...task], { node: bundledNode, ...options });
  const { name } = libraries[implementation];

  it.each([2, 3, 8])('%i ranks exchange messages of 0 bytes to 5 MB, in order', async (ranks) => {
    const sizes = ['0', '1', '0', '1000', '100000', ...(ranks === 8 ? [] : ['5000000'])];
    const { stdout, stderr, code } = await run(['exchange', ...sizes], { ranks });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(countDone(stdout)).toBe(ranks);
    expect(stdout).toContain(`rank 0 of ${ranks} on ${hostname()}: ${name}`);
  });

  it('a single rank loads no MPI', async () => {
    const { stderr, code } = await run(['exchange', '1'], { ranks: 1 });
    expect(stderr).toContain('no launcher');
    expect(code).not.toBe(0);
  });

  it('messages arrive during a computation that calls progress()', async () => {
    const { stdout, code } = await run(['overlap'], { ranks: 2 });
    expect({ code, done: countDone(stdout) }).toEqual({ code: 0, done: 2 });
  });

  it('a silent rank is named by those that wait for it, and abort() ends all of them', async () => {
    const { stdout, code, seconds } = await run(['silence'], { ranks: 3 });
    for (const rank of [0, 1])
      expect(stdout).toMatch(new RegExp(`rank ${rank} rank-lost: rank 2 on ${hostname()} .* 1 second\n`));
    expect(code).toBe(3);
    expect(seconds).toBeLessThan(30);
  });

  it('a rank that hangs at the end is not waited for without a limit', async () => {
    const { stdout, stderr, code, seconds } = await run(['hang'], { ranks: 3 });
    expect(countDone(stdout)).toBe(0);
    expect(code).not.toBe(0);
    // SIGALRM (14) ends a rank. Hydra then kills the others (SIGKILL, 9), and may report the bitwise OR of both, 15.
    expect(stdout + stderr).toMatch(implementation === 'mpich' ? /signal.* 1[45]\b/i : /signal.* 14\b/i);
    expect(seconds).toBeLessThan(30);
    const pids = [...stdout.matchAll(/pid (\d+)/g)].map((match) => Number(match[1]));
    expect(pids).toHaveLength(3);
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });

  it('a killed launcher takes the ranks with it', async () => {
    let isKilled = false;
    const { stdout } = await run(['wait'], {
      ranks: 2,
      onOutput(output, pid) {
        if (isKilled || (output.match(/pid \d+/g)?.length ?? 0) < 2) return;
        isKilled = true;
        process.kill(pid, 'SIGKILL');
      },
    });
    const pids = [...stdout.matchAll(/pid (\d+)/g)].map((match) => Number(match[1]));
    expect(pids).toHaveLength(2);
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });

  it('the library may be named, and is used with the handles of its ABI', async () => {
    const { stdout, code } = await run(['exchange', '1', '100000'], {
      ranks: 2,
      env: { GPT_MPI: libraryOf(implementation) },
    });
    expect({ code, done: countDone(stdout) }).toEqual({ code: 0, done: 2 });
    expect(stdout).toContain(implementation === 'mpich' ? 'MPICH ABI' : 'Open MPI, done');
  });

  it('the library of another launcher is refused', async () => {
    const other = implementation === 'mpich' ? 'openmpi' : 'mpich';
    const { stderr, code } = await run(['exchange', '1'], { ranks: 2, env: { GPT_MPI: libraryOf(other) } });
    expect(stderr).toMatch(/^error: mpi-unavailable: .*mpi(run|exec)/m);
    expect(stderr).toContain(libraries[other].name);
    expect(stderr).toMatch(/^hint: GPT_MPI/m);
    expect(code).not.toBe(0);
  });
});

it.skipIf(freemem() < 4 * LONG)('a message may have more bytes than MPI can count', async () => {
  const { stdout, code } = await mpirun('mpich', [script, 'long', String(LONG)], {
    ranks: 2,
    node: bundledNode,
  });
  expect({ code, done: countDone(stdout) }).toEqual({ code: 0, done: 2 });
});

it('ranks that do not find each other are told from a launch of one', async () => {
  const { stderr, code } = await runAlone([script, 'exchange', '1'], {
    node: bundledNode,
    script: '--no-warnings',
    env: {
      OMPI_COMM_WORLD_SIZE: '4',
      OMPI_COMM_WORLD_RANK: '1',
      OPAL_PREFIX: installationOf('openmpi'),
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    },
  });
  expect(stderr).toMatch(/mpi-unavailable: .*4 ranks.* Open MPI v5\.0\.11 sees 1/);
  expect(code).toBe(1);
});
