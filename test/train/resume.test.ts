import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readTrainerState, trainerStateText, type TrainerState } from '../../src/checkpoint/trainer-state.ts';
import { writeTokenFile } from '../../src/data/token-file.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { encode } from '../../src/tokenizer/tokenizer.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { recordedSchedule } from '../../src/train/stored-options.ts';
import { trainModel, type TrainResult } from '../../src/train/train-model.ts';
import type { TrainHandlers } from '../../src/train/train-handlers.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { failure } from '../fixtures/failure.ts';

const root = mkdtempSync(join(tmpdir(), 'resume-'));
const at = (name: string): string => join(root, name);
const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
const text = (a: number): string =>
  Array.from({ length: 200 }, (_, i) => `${words[(i * i + a * i) % 10]} ${words[(i * 7) % 10]}.\n`).join('');

beforeAll(() => {
  writeFileSync(at('corpus.txt'), text(3));
  writeFileSync(at('other.txt'), text(5));
  mkdirSync(at('ids'));
  const tokenizer = createCharTokenizer([...new Set(text(3)), '<unk>']);
  const json = JSON.stringify(tokenizer.toJSON());
  writeFileSync(at('ids/tokenizer.json'), json);
  writeTokenFile(at('ids/tokens.bin'), [Uint32Array.from(encode(tokenizer, text(3)))], {
    vocabSize: tokenizer.vocabSize,
    tokenizerHash: createHash('sha256').update(json).digest(),
  });
});

const STEPS = 24;
const base: TrainModelOptions = {
  corpus: [at('corpus.txt')],
  nLayer: 1,
  nHead: 2,
  nEmbd: 8,
  blockSize: 8,
  batchSize: 2,
  maxIters: STEPS,
  lrDecayIters: STEPS,
  warmupIters: 4,
  evalInterval: 5,
  evalIters: 2,
};

/** Trains until a number of steps is done, and is then interrupted. */
function trainTo(
  step: number,
  options: TrainModelOptions,
  handlers: TrainHandlers = {},
): Promise<TrainResult> {
  let done = 0;
  return trainModel(options, {
    ...handlers,
    event: (event) => {
      if (event.type === 'step') done = event.step;
    },
    interrupted: () => done === step,
  });
}

describe('a run interrupted twice, on 1, 2 and 3 threads, ends with the same bytes as an uninterrupted one', () => {
  const cases: Record<string, Partial<TrainModelOptions>> = {
    'AdamW, cosine': {},
    'SGD, linear': { optimizer: 'sgd', schedule: 'linear', learningRate: 0.1 },
    'Lion, wsd': { optimizer: 'lion', schedule: 'wsd', gradientAccumulationSteps: 2 },
    'Muon beside AdamW': { optimizer: 'muon', initialization: 'fan-in' },
    'constant rate, no clipping, another seed': { schedule: 'constant', gradClip: 0, seed: 2 ** 40 + 7 },
    'Muon, an average of the weights': { optimizer: 'muon', emaDecay: 0.8, evalInterval: 3 },
    dropout: { dropout: 0.3 },
    'accumulated gradients, with dropout': { gradientAccumulationSteps: 3, dropout: 0.1 },
    'the original Transformer’s pieces': { norm: 'post', positions: 'sinusoidal', activation: 'relu' },
    'the original Transformer’s training': {
      schedule: 'inverse-sqrt',
      beta2: 0.98,
      epsilon: 1e-9,
      labelSmoothing: 0.1,
    },
    'early stopping, at a rate too high': { patience: 3, learningRate: 3, evalInterval: 3, gradClip: 0 },
    'a validation file': { valFile: at('other.txt') },
    'a token file': { corpus: [at('ids/tokens.bin')] },
    'epochs of a token file, accumulated': {
      corpus: [at('ids/tokens.bin')],
      batchSampling: 'epochs',
      batchSize: 5,
      gradientAccumulationSteps: 3, // the epoch ends within a step
    },
    'words, no validation text': { tokenizer: 'word', valFraction: 0 },
    'no evaluations, saved at steps': { evalInterval: 0, saveEvery: 7 },
    'documents, attended to one by one': { documents: 'lines', documentMask: true, dropout: 0.1 },
    samples: { sampleTokens: 5 },
  };
  const handlers: TrainHandlers = { sample: () => {} };

  test.each(Object.entries(cases))('%s', async (name, changes) => {
    const options = { ...base, ...changes };
    const [straight, pieces] = [at(`${name}, straight`), at(`${name}, pieces`)];
    const whole = await trainModel({ ...options, outDir: straight, threads: 2 }, handlers);

    // Interrupted twice, then come to an end, between two evaluations, and then made longer.
    await trainTo(4, { ...options, outDir: pieces, threads: 1, maxIters: 18 }, handlers);
    await trainTo(10, { corpus: [], resume: pieces, threads: 3 }, handlers);
    const end = await trainModel({ corpus: [], resume: pieces, threads: 2 }, handlers);
    const longer = trainModel({ corpus: [], resume: pieces, threads: 1, maxIters: STEPS }, handlers);
    if (end.reason === 'stopped early') await expect(longer).rejects.toThrow(failure('nothing-to-do', '3'));
    else expect(await longer).toEqual({ ...whole, folder: pieces });

    expect(end.reason === 'stopped early').toBe(whole.reason === 'stopped early');
    expect(whole.reason === 'stopped early').toBe(changes.patience !== undefined);
    expect(bytesOf(straight).size).toBeGreaterThan(12);
    const differing = differences(bytesOf(pieces), bytesOf(straight));
    // One that stopped early was never made longer, and its options and its card say so.
    const tellsLength = (file: string): boolean => /gpt_trainer_state\.json$|README\.md$/.test(file);
    expect(differing.filter((file) => changes.patience === undefined || !tellsLength(file))).toEqual([]);
  });
});

test('a run interrupted at an evaluation that it later rolls back to ends with the same bytes', async () => {
  // One parameter breaks at step 14, once; the last good checkpoint is that of step 10.
  const inspect: TrainHandlers['inspect'] = ({ step, health }, found, trainer) => {
    if (step === 13 && health.rollbacks === 0) trainer.parameters()[3].write(Float32Array.of(NaN), 7);
    return found;
  };
  const [straight, pieces] = [at('rolled back, straight'), at('rolled back, pieces')];
  const options = { ...base, emaDecay: 0.8 };
  await trainModel({ ...options, outDir: straight }, { inspect });
  await trainTo(10, { ...options, outDir: pieces }, { inspect });
  const state = (): TrainerState => readTrainerState(join(pieces, 'checkpoint-10', 'gpt_trainer_state.json'));
  expect(state()).toMatchObject({ evaluation_due: true, good_step: 5 });
  await trainTo(12, { corpus: [], resume: pieces }, { inspect });
  expect(state()).toMatchObject({ good_step: 10 });
  expect(state().evaluation_due).toBeUndefined();
  await trainModel({ corpus: [], resume: pieces }, { inspect });
  expect(bytesOf(straight).get('metrics.jsonl')).toContain('"rollback_to":10');
  expect(differences(bytesOf(pieces), bytesOf(straight))).toEqual([]);
});

describe('a run that is extended after its end', () => {
  test.each([
    { schedule: 'cosine' },
    { schedule: 'linear' },
    { schedule: 'wsd', lrDecayType: '1-sqrt' },
  ] as const)(
    '$schedule: interrupted in its re-warm-up and its decay, it ends with the same bytes',
    async (shape) => {
      const { lrDecayIters: _, ...options } = { ...base, ...shape };
      const { schedule } = shape;
      const [straight, pieces] = [at(`${schedule}, extended`), at(`${schedule}, extended in pieces`)];
      for (const outDir of [straight, pieces]) await trainModel({ ...options, outDir });
      const rates: number[] = [];
      await trainModel(
        { corpus: [], resume: straight, maxIters: 70 },
        { event: (event) => event.type === 'step' && rates.push(event.learningRate) },
      );
      await trainTo(25, { corpus: [], resume: pieces, maxIters: 70, threads: 1 });
      // Asked for once more, the extension is the same one.
      await trainTo(68, { corpus: [], resume: pieces, maxIters: 70, threads: 2 });
      await trainModel({ corpus: [], resume: pieces });
      expect(differences(bytesOf(pieces), bytesOf(straight))).toEqual([]);

      const peak = Math.max(...rates);
      expect(rates.indexOf(peak)).toBe(3); // the re-warm-up: a twentieth of 46 steps
      expect(rates.at(-1)).toBeLessThan(rates[0]);
    },
  );
});

test('an extended run keeps the model of its former end, as the same run in one go does', async () => {
  const { lrDecayIters: _, ...options } = { ...base, schedule: 'linear' as const };
  const [extended, once] = [at('former end'), at('former end, in one go')];
  const { progress: before } = await trainModel({ ...options, outDir: extended });
  expect(before.bestStep).toBe(STEPS); // between two regular evaluations
  const resumed = await trainModel({ corpus: [], resume: extended, maxIters: STEPS + 2 });
  expect(resumed.progress.bestLoss).toBeLessThanOrEqual(before.bestLoss);
  const checkpoint = `checkpoint-${STEPS + 2}`;
  const state = readTrainerState(join(extended, checkpoint, 'gpt_trainer_state.json'));
  const recorded = Object.entries(state.options).filter(([, value]) => value !== null);
  await trainModel({ corpus: [], ...Object.fromEntries(recorded), outDir: once });
  const last = (run: string): Map<string, string> =>
    new Map([...bytesOf(run)].filter(([file]) => file.startsWith(checkpoint)));
  expect(last(once).size).toBeGreaterThan(1);
  expect(differences(last(once), last(extended))).toEqual([]);
});

test('a run whose patience runs out at its last evaluation has finished, and can be extended', async () => {
  const { lrDecayIters: _, ...options } = { ...base, schedule: 'linear' as const, patience: 3 };
  const outDir = at('patience at the end');
  expect((await trainModel({ ...options, outDir })).reason).toBe('finished');
  const file = join(outDir, `checkpoint-${STEPS}`, 'gpt_trainer_state.json');
  const { format: _format, ...state } = readTrainerState(file);
  writeFileSync(file, trainerStateText({ ...state, evaluations_without_improvement: 3 }));
  const { reason, progress } = await trainModel({ corpus: [], resume: outDir, maxIters: STEPS + 6 });
  expect({ reason, step: progress.step }).toEqual({ reason: 'finished', step: STEPS + 6 });
});

test.each(['before its end', 'after its end'])(
  'a run of a version that did not store re-warm-ups and past schedules resumes %s to the same bytes',
  async (when) => {
    const { lrDecayIters: _, ...options } = { ...base, schedule: 'linear' as const };
    const [now, old] = [at(`now, ${when}`), at(`old, ${when}`)];
    const step = when === 'before its end' ? 13 : STEPS;
    for (const outDir of [now, old]) await trainTo(step, { ...options, outDir });
    const file = join(old, `checkpoint-${step}`, 'gpt_trainer_state.json');
    const { format: _format, ...state } = readTrainerState(file);
    const absent = new Set<string>(recordedSchedule);
    const stored = Object.entries(state.options).filter(([name]) => !absent.has(name));
    expect(stored.length).toBe(Object.keys(state.options).length - absent.size);
    writeFileSync(file, trainerStateText({ ...state, options: Object.fromEntries(stored) }));
    for (const resume of [now, old]) await trainModel({ corpus: [], resume, maxIters: 40 });
    expect(differences(bytesOf(old), bytesOf(now))).toEqual([]);
  },
);

test('--patience of an extended run counts from its new decay, not from the re-warm-up', async () => {
  const { lrDecayIters: _, ...options } = { ...base, schedule: 'wsd' as const };
  const outDir = at('patience');
  await trainModel({ ...options, outDir });
  const file = join(outDir, `checkpoint-${STEPS}`, 'gpt_trainer_state.json');
  const { format: _format, ...state } = readTrainerState(file);
  writeFileSync(file, trainerStateText({ ...state, best_loss: 0 })); // never beaten
  const longer = { corpus: [], resume: outDir, maxIters: 104, patience: 3, sampleTokens: 0 };
  const { reason, progress } = await trainModel(longer);
  expect(reason).toBe('stopped early');
  expect(progress.step).toBe(95); // the decay starts after step 84
});
