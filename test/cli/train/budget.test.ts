import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { latestCheckpoint } from '../../../src/checkpoint/checkpoint-folders.ts';
import { commandsIn } from '../in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'budget-'));
writeFileSync(
  join(folder, 'corpus.txt'),
  'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60),
);
const at = commandsIn(folder);

/** The last checkpoint of a run. */
function checkpoint(name: string) {
  const { folder: last } = latestCheckpoint(join(folder, name))!;
  const file = (of: string): Buffer => readFileSync(join(last, of));
  const state = JSON.parse(file('gpt_trainer_state.json').toString()) as {
    step: number;
    options: { maxIters: number; lrDecayStart: number; lrDecayIters: number; schedule: string };
  };
  return { state, weights: Buffer.concat([file('model.safetensors'), file('optimizer.safetensors')]) };
}

test('a run with --minutes records its options, which alone reproduce its bits', async () => {
  const { stderr, code } = await at('train corpus.txt --minutes 0.05 --patience 0 -o timed');
  expect(code).toBe(0);
  expect(stderr).toMatch(/time +about \d+s/);
  const { state, weights } = checkpoint('timed');
  expect(state.options).not.toHaveProperty('minutes');
  expect(state.options).toMatchObject({ maxIters: state.step, schedule: 'linear' });
  const again = await at('train --config timed -q -o again --threads 1');
  expect(again.code, again.stderr).toBe(0);
  expect(checkpoint('again').weights.equals(weights)).toBe(true);

  const more = await at('train --resume timed --minutes 0.02 -q');
  expect(more.code, more.stderr).toBe(0);
  const { state: longer } = checkpoint('timed');
  expect(longer.step).toBeGreaterThan(state.step);
  expect(longer.options.lrDecayStart).toBeGreaterThanOrEqual(state.step);
});

test('two lengths are refused', async () => {
  const { stderr, code } = await at('train corpus.txt --minutes 1 --max-iters 5');
  expect(stderr).toMatch(/^error: .*--(minutes|max-iters).*--(minutes|max-iters)/);
  expect(code).toBe(2);
});
