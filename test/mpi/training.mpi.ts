/** `gpt train` on several ranks: the bytes of one process, and what happens when ranks fail. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Philox } from '../../src/engine/philox.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { run as runAlone } from '../cli/run.ts';
import { rankConfigurations } from '../fixtures/rank-configurations.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { bundledNode, gpt, implementations, isAlive, mpirun, type MpiRunOptions } from './mpirun.ts';

const script = fileURLToPath(new URL('train-all.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'mpi-'));
const at = (...names: string[]): string => join(root, ...names);
/** For each implementation. */
const KILLS = Number(process.env['GPT_KILLS'] ?? 4);
let runs: Record<string, TrainModelOptions>;

/** A run of a few seconds, as flags. */
const FLAGS = (
  '--max-iters 60 --eval-interval 20 --eval-iters 2 --save-every 5 --seed 7 --batch-size 2 --block-size 16 ' +
  '--gradient-accumulation-steps 4 --sample-tokens 0 --n-layer 2 --n-head 2 --n-embd 32 --arch qwen3 --quiet'
).split(' ');

const ENDLESS = [...FLAGS, '--max-iters', '1000000', '--rank-timeout', '2'];

beforeAll(async () => {
  runs = await rankConfigurations(root);
  for (const [i, options] of Object.values(runs).entries())
    await trainModel({ ...options, outDir: at('alone', String(i)) });
  const { code, stderr } = await runAlone(['train', at('corpus.txt'), ...FLAGS, '-o', at('undisturbed')]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

/** The checkpoint of the last step. */
const lastOf = (folder: string): Map<string, string> =>
  new Map([...bytesOf(folder)].filter(([file]) => file.startsWith('checkpoint-60')));

describe.each(implementations)('%s', (implementation) => {
  it.each([2, 3, 4, 8])('%i ranks train six runs to the bytes of one process', async (ranks) => {
    const folder = at(`${implementation}-${ranks}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'runs.json'), JSON.stringify(runs));
    const { stderr, code } = await mpirun(implementation, [script, folder], { ranks, node: bundledNode });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const [i, name] of Object.keys(runs).entries()) {
      const found = bytesOf(join(folder, `${ranks}-${i}`));
      expect(differences(bytesOf(at('alone', String(i))), found), name).toEqual([]);
    }
  });

  const train = (args: readonly string[], options: MpiRunOptions) =>
    mpirun(implementation, [gpt, 'train', ...args], options);

  it.each([1, 3])('the command line on %i ranks writes the run of one process', async (ranks) => {
    const folder = at(`${implementation}-cli-${ranks}`);
    const { stdout, code } = await train([at('corpus.txt'), ...FLAGS, '-o', folder], { ranks });
    expect(code).toBe(0);
    if (ranks > 1) expect(stdout.trim()).toBe(folder); // one process has the pseudo-terminal of Open MPI
    expect(differences(lastOf(at('undisturbed')), lastOf(folder))).toEqual([]);
  });

  it('wrong usage is reported once, by rank 0', async () => {
    const { stderr, code } = await train([at('corpus.txt'), '--n-layers', '2'], { ranks: 2 });
    expect(code).not.toBe(0);
    expect(stderr.match(/unknown option/g)).toHaveLength(1);
  });

  it('so is a step that cannot be divided', async () => {
    const { stderr, code } = await train(
      [at('corpus.txt'), ...FLAGS, '--gradient-accumulation-steps', '1', '-o', at('few')],
      { ranks: 2 },
    );
    expect(code).not.toBe(0);
    expect(stderr.match(/1 micro-batch, too few for 2 ranks/g)).toHaveLength(1);
    expect(existsSync(at('few'))).toBe(false);
  });

  it('other commands are not divided', async () => {
    const { stderr, code } = await mpirun(implementation, [gpt, 'eval', '-m', at('undisturbed')], {
      ranks: 2,
    });
    expect(code).not.toBe(0);
    expect(stderr.match(/gpt eval is not divided among processes/g)).toHaveLength(1);
  });

  it('a rank that hangs ends the job, and is named', async () => {
    const folder = at(`${implementation}-hangs`);
    const disturbed = whenTraining(folder, (pids) => void process.kill(pids[1], 'SIGSTOP'));
    const { stderr, code, seconds } = await train([at('corpus.txt'), ...ENDLESS, '-o', folder], { ranks: 3 });
    for (const pid of await disturbed) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    expect(code).not.toBe(0);
    expect(stderr).toContain(`rank 1 on ${hostname()}`);
    expect(seconds).toBeLessThan(60);
  });

  it('a signal to the launcher ends all ranks, and the run can be resumed', async () => {
    const folder = at(`${implementation}-signal`);
    let launcher = 0;
    const disturbed = whenTraining(folder, async () => {
      await expect.poll(() => lastStepOf(folder)).toBeGreaterThan(0);
      process.kill(launcher, 'SIGTERM');
    });
    await train([at('corpus.txt'), ...ENDLESS, '-o', folder], {
      ranks: 3,
      onStart: (pid) => void (launcher = pid),
    });
    await expect.poll(async () => (await disturbed).filter(isAlive), { timeout: 10_000 }).toEqual([]);
    const more = String(lastStepOf(folder) + 1);
    const { code, stderr } = await runAlone(['train', '--resume', folder, '--max-iters', more, '--quiet']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it(
    `ranks killed ${KILLS} times lose nothing: the run resumes on other numbers of ranks to the same bytes`,
    async () => {
      const random = new Philox(1, 2, 3);
      const draw = (below: number): number => random.uint32() % below;
      const folder = at(`${implementation}-kills`);
      let kills = 0;
      let number = 0;
      let finished = 0;
      while (kills < KILLS || number > 0) {
        const run = `${folder}-${finished}`;
        const isNew = lastStepOf(run) === 0;
        const args = isNew
          ? [at('corpus.txt'), ...FLAGS, '-o', run, '--overwrite']
          : ['--resume', run, '--quiet'];
        const ranks = 2 + draw(2);
        const mayDie = kills < KILLS && number < 6;
        const disturbed = mayDie
          ? whenTraining(run, async (pids) => {
              await sleep(draw(600));
              const pid = pids[draw(pids.length)];
              if (isAlive(pid)) process.kill(pid, 'SIGKILL');
            })
          : undefined;
        const { code, stderr } = await train(args, { ranks });
        await disturbed;
        // A rank may have been killed when everything was done.
        if (code === 0 || stderr.includes('already completed 60 steps')) {
          expect(differences(lastOf(at('undisturbed')), lastOf(run)), `run ${finished}`).toEqual([]);
          rmSync(run, { recursive: true });
          finished++;
          number = 0;
          continue;
        }
        expect(mayDie, stderr).toBe(true);
        kills++;
        number++;
      }
      expect(finished).toBeGreaterThan(0);
    },
    60_000 + 15_000 * KILLS,
  );
});

/** The step of the last checkpoint; 0 if there is none. */
function lastStepOf(run: string): number {
  if (!existsSync(run)) return 0;
  const steps = readdirSync(run).map((name) => Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...steps);
}

/** The processes of the ranks that write to a folder, by rank: the launcher's children, or those that they started. */
function ranksOf(folder: string): number[] {
  const found: { readonly pid: number; readonly isProgram: boolean }[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isProgram = words.some((word) => word.endsWith('dist/cli/main.js'));
      if (!words.includes(folder) || !(isProgram || words[1]?.endsWith('bin/gpt.js'))) continue;
      const environment = `\0${readFileSync(`/proc/${pid}/environ`, 'utf8')}`;
      const rank = Number(/\0(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)\0/.exec(environment)![1]);
      if (isProgram || found[rank] === undefined) found[rank] = { pid: Number(pid), isProgram };
    } catch {
      // it has ended
    }
  return found.map(({ pid }) => pid);
}

/**
 * Waits until a run on several ranks has done some steps, or has ended.
 *
 * @param act gets the processes of the ranks
 * @returns them
 */
async function whenTraining(
  folder: string,
  act: (pids: number[]) => void | Promise<void>,
): Promise<number[]> {
  const log = join(folder, 'metrics.jsonl');
  const size = (): number => (existsSync(log) ? statSync(log).size : 0);
  const before = size();
  const until = performance.now() + 30_000;
  while (performance.now() < until) {
    const pids = ranksOf(folder);
    if (pids.length > 1 && size() !== before) {
      await act(pids);
      return pids;
    }
    await sleep(20);
  }
  return [];
}
