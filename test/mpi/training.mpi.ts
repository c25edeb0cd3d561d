/** `gpt train` on several ranks: the bytes of one process, and what happens when ranks fail. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
import { trainOn } from '../fixtures/train-on-ranks.ts';
import { lastStepOf, whenTraining } from './running-ranks.ts';
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

  it('two ranks that send gradients in bfloat16 train to the bytes of ranks in one process', async () => {
    const folder = at(`${implementation}-bf16`);
    mkdirSync(folder);
    const narrow = Object.entries(runs).map(
      ([name, run]) => [name, { ...run, reduceDtype: 'bf16' }] as const,
    );
    writeFileSync(join(folder, 'runs.json'), JSON.stringify(Object.fromEntries(narrow)));
    const { stderr, code } = await mpirun(implementation, [script, folder], { ranks: 2, node: bundledNode });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const [i, [name, run]] of narrow.entries()) {
      const outDir = join(folder, `in-memory-${i}`);
      await trainOn(2, { ...run, outDir });
      expect(differences(bytesOf(outDir), bytesOf(join(folder, `2-${i}`))), name).toEqual([]);
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
