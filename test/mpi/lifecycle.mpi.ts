/** How the ranks of a run fail, are interrupted and end: promptly, with one report, and without a process that stays behind. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { run as runAlone } from '../cli/run.ts';
import { oldNode } from './old-node.ts';
import { gpt, implementations, isAlive, mpirun, type MpiRunOptions } from './mpirun.ts';
import { lastStepOf, parentOf, ranksOf, whenTraining } from './running-ranks.ts';

/** A run may end between two signals. */
function signalIfRunning(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const root = mkdtempSync(join(tmpdir(), 'lifecycle-'));
const at = (...names: string[]): string => join(root, ...names);
const corpus = at('corpus.txt');
writeFileSync(corpus, 'To the last I grapple with thee. '.repeat(200));

const RUN = (
  '--eval-interval 1000 --eval-iters 2 --save-every 500 --batch-size 2 --block-size 16 ' +
  '--gradient-accumulation-steps 4 --sample-tokens 0 --n-layer 2 --n-head 2 --n-embd 32 --quiet --rank-timeout 20'
).split(' ');
/** Trains until it is ended. */
const ENDLESS = [...RUN, '--max-iters', '1000000'];
const SHORT = [...RUN, '--max-iters', '5'];

/** In seconds; a hanging job would take 100. */
const PROMPTLY = 40;

describe.each(implementations)('%s', (implementation) => {
  const train = (args: readonly string[], options: Partial<MpiRunOptions> = {}) =>
    mpirun(implementation, [gpt, 'train', ...args], { ranks: 2, ...options });
  /** Rank 1 is started with other arguments than rank 0. @param engine GPT_ENGINE of rank 1 */
  const trainApart = (first: readonly string[], second: readonly string[], engine?: string) => {
    const environment = engine === undefined ? [] : ['env', `GPT_ENGINE=${engine}`];
    const rank1 = [':', '-n', '1', ...environment, process.execPath, gpt, 'train', ...second];
    return train([...first, ...rank1], { ranks: 1 });
  };

  it.each([
    { what: 'an unknown option', args: [corpus, '--n-layers', '2'], says: /unknown option/g, exit: 2 },
    { what: 'no text', args: [], says: /no text was given/g, exit: 2 },
    { what: 'a missing text', args: [at('nowhere.txt')], says: /no such file/g, exit: 1 },
    { what: 'a missing --config', args: ['--config', at('no.json')], says: /no file or run/g, exit: 1 },
    {
      what: 'a step that cannot be divided',
      args: [corpus, ...SHORT, '--gradient-accumulation-steps', '1', '-o', at('few')],
      says: /1 micro-batch, too few for 3 ranks/g,
      exit: 2,
    },
    { what: 'too long a time limit', args: [corpus, '--rank-timeout', '3000000'], says: /1000000/g, exit: 2 },
  ])('$what is reported once, and ends all ranks', async ({ args, says, exit }) => {
    const { stderr, code, seconds } = await train(args, { ranks: 3 });
    expect(stderr.match(says), stderr).toHaveLength(1);
    expect(stderr).not.toMatch(/error: rank/);
    expect(code).toBe(exit);
    expect(seconds).toBeLessThan(PROMPTLY);
    expect(existsSync(at('few'))).toBe(false);
  });

  it.skipIf(availableParallelism() < 2)(
    'ranks that are bound to a part of the processors are told so',
    async () => {
      const args = ['-c', '0', process.execPath, gpt, 'train', corpus, ...SHORT];
      const command = [...args, '-o', at(`${implementation}-bound`)];
      const { stderr, code } = await mpirun(implementation, command, { ranks: 2, node: 'taskset' });
      expect(code, stderr).toBe(0);
      const [warning, ...more] = stderr.trimEnd().split('\n');
      expect(warning).toMatch(
        new RegExp(`^warning: rank 0 on ${hostname()} is bound to 1 of \\d+ processors, .*--bind-to none`),
      );
      expect(more).toEqual([]);
    },
  );

  it('other commands are not divided', async () => {
    const { stderr, code } = await mpirun(implementation, [gpt, 'eval', '-m', 'model'], { ranks: 2 });
    expect(code).toBe(2);
    expect(stderr.match(/gpt eval is not divided among processes/g), stderr).toHaveLength(1);
  });

  it('an option that is wrong on rank 1 alone is reported by rank 1', async () => {
    const { stderr, code } = await trainApart(
      [corpus, ...SHORT, '-o', at('never')],
      [corpus, '--n-layers', '2'],
    );
    expect(stderr).toMatch(new RegExp(`^error: rank 1 on ${hostname()}: unknown option '--n-layers'`, 'm'));
    expect(code).toBe(2);
    expect(existsSync(at('never'))).toBe(false);
  });

  it('rank 0 alone reads --config, and says what hosts take part', async () => {
    const config = at('config.json');
    writeFileSync(config, JSON.stringify({ 'max-iters': 4, threads: 1 }));
    const folder = at(`${implementation}-config`);
    const first = [...RUN, '--config', config, '--json=events'];
    const { stdout, stderr, code } = await trainApart(
      [corpus, ...first, '-o', folder],
      ['--config', at('elsewhere.json')],
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(lastStepOf(folder)).toBe(4);
    expect(JSON.parse(stdout.split('\n')[0])).toMatchObject({
      event: 'start',
      ranks: 2,
      hosts: [{ name: hostname(), ranks: 2 }],
    });
  });

  it('kernels that round differently are refused, with the rank that has them', async () => {
    const args = [corpus, ...SHORT, '-o', at('unequal')];
    const { stderr, code } = await trainApart(args, args, 'simd');
    expect(stderr.match(/^error: .*/gm), stderr).toHaveLength(1);
    expect(stderr).toMatch(
      new RegExp(`^error: the kernels of rank 1 on ${hostname()}, '.*simd', round diff`, 'm'),
    );
    expect(code).toBe(1);
    expect(existsSync(at('unequal'))).toBe(false);
  });

  it('a missing library on rank 1 ends rank 0 as well', async () => {
    const args = [corpus, ...SHORT, '-o', at('unequal')];
    const rank1 = [':', '-n', '1', 'env', 'GPT_MPI=/nowhere.so', process.execPath, gpt, 'train', ...args];
    const { stderr, code, seconds } = await train([...args, ...rank1], { ranks: 1 });
    expect(stderr).toMatch(new RegExp(`^error: rank 1 on ${hostname()}: .*/nowhere.so`, 'm'));
    expect(code).not.toBe(0);
    expect(seconds).toBeLessThan(PROMPTLY);
  });

  it('a signal that each rank gets twice ends the run after a step, with everything saved', async () => {
    const folder = at(`${implementation}-doubled`);
    const disturbed = whenTraining(folder, async (pids) => {
      for (let i = 0; i < 2; i++) {
        for (const pid of pids) signalIfRunning(pid);
        await sleep(50);
      }
    });
    const { stderr } = await train([corpus, ...ENDLESS.filter((word) => word !== '--quiet'), '-o', folder], {
      ranks: 3,
    });
    expect(await disturbed).toHaveLength(3);
    expect(stderr).toContain('Saving; ');
    expect(stderr).not.toMatch(/^error/m);
    const steps = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const { step } = JSON.parse(steps.at(-1)!) as { step: number };
    expect(step).toBeGreaterThan(0);
    expect(lastStepOf(folder)).toBe(step);
  });

  it('a second signal, later, ends all ranks at once', async () => {
    const folder = at(`${implementation}-impatient`);
    const disturbed = whenTraining(folder, async (pids) => {
      process.kill(pids[1], 'SIGSTOP'); // so that the step does not end
      process.kill(pids[0], 'SIGINT');
      await sleep(1000);
      process.kill(pids[0], 'SIGINT');
    });
    const { seconds } = await train([corpus, ...ENDLESS, '--rank-timeout', '0', '-o', folder], { ranks: 3 });
    await expect.poll(async () => (await disturbed).filter(isAlive), { timeout: 10_000 }).toEqual([]);
    expect(seconds).toBeLessThan(PROMPTLY);
  });

  it('a signal to the launcher ends all ranks, and the run can be resumed', async () => {
    const folder = at(`${implementation}-signal`);
    let launcher = 0;
    const disturbed = whenTraining(folder, async () => {
      await expect.poll(() => lastStepOf(folder)).toBeGreaterThan(0);
      process.kill(launcher, 'SIGTERM');
    });
    const { seconds } = await train([corpus, ...ENDLESS, '--save-every', '5', '-o', folder], {
      ranks: 3,
      onStart: (pid) => void (launcher = pid),
    });
    const pids = await disturbed;
    expect(pids).toHaveLength(3);
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
    expect(seconds).toBeLessThan(PROMPTLY);
    const more = String(lastStepOf(folder) + 1);
    const { code, stderr } = await runAlone(['train', '--resume', folder, '--max-iters', more, '--quiet']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('a signal to the launcher saves a run that has no checkpoint yet', async () => {
    // Open MPI 5 leaves the ranks a quarter of a second, which a busy computer may need for other things.
    for (let attempt = 1; ; attempt++) {
      const folder = at(`${implementation}-saved-${attempt}`);
      let launcher = 0;
      const disturbed = whenTraining(folder, async () => {
        await sleep(500);
        process.kill(launcher, 'SIGTERM');
      });
      await train([corpus, ...ENDLESS, '--save-every', '0', '--eval-interval', '0', '-o', folder], {
        onStart: (pid) => void (launcher = pid),
      });
      const pids = await disturbed;
      await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
      if (attempt < 4 && lastStepOf(folder) === 0) continue;
      expect(lastStepOf(folder)).toBeGreaterThan(0);
      return;
    }
  });

  it('a rank that hangs ends the job, and is named', async () => {
    const folder = at(`${implementation}-hangs`);
    const disturbed = whenTraining(folder, (pids) => void process.kill(pids[1], 'SIGSTOP'));
    const { stderr, code, seconds } = await train([corpus, ...ENDLESS, '--rank-timeout', '2', '-o', folder], {
      ranks: 3,
    });
    for (const pid of await disturbed) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^error: rank 1 on ${hostname()} has (sent|received) nothing for 2 seconds`, 'm'),
    );
    expect(seconds).toBeLessThan(PROMPTLY);
  });

  it.each([0, 1])('a killed bin/gpt.js of rank %i leaves no process behind', async (rank) => {
    const folder = at(`${implementation}-orphan-${rank}`);
    const disturbed = whenTraining(folder, (pids) => {
      process.kill(parentOf(pids[rank]), 'SIGKILL');
    });
    const { code, seconds } = await train([corpus, ...ENDLESS, '-o', folder], {
      env: { NODE_OPTIONS: oldNode() },
    });
    expect(code).not.toBe(0);
    expect(seconds).toBeLessThan(PROMPTLY);
    const pids = await disturbed;
    expect(pids).toHaveLength(2);
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });

  it('nor does one whose program waits in MPI_Init, where it serves no timer', async () => {
    const folder = at(`${implementation}-waits`);
    const late = ['-e', 'setTimeout(() => {}, 20_000)'];
    const waiting = [
      'env',
      `NODE_OPTIONS=${oldNode()}`,
      process.execPath,
      gpt,
      'train',
      corpus,
      '-o',
      folder,
    ];
    const ended = mpirun(implementation, [...late, ':', '-n', '1', ...waiting], { ranks: 1 });
    const program = (): number | undefined => {
      const pid = ranksOf(folder).at(1);
      const command = pid === undefined ? '' : readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return command.includes('main.js') ? pid : undefined;
    };
    await expect.poll(program, { timeout: 20_000 }).toBeDefined();
    await sleep(2000);
    const pid = program()!;
    process.kill(parentOf(pid), 'SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false);
    await ended;
  });
});
