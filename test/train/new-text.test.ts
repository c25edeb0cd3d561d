import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { readTrainerState, type TrainerState } from '../../src/checkpoint/trainer-state.ts';
import type { Batch } from '../../src/data/batches.ts';
import { readRun, summarizeRun } from '../../src/inspect/run-record.ts';
import type { InParts } from '../../src/polling.ts';
import { freshHealth } from '../../src/train/divergence.ts';
import { freshProgress } from '../../src/train/progress.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { forgetOldText, remeasureBest } from '../../src/train/new-text.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import type { TrainHandlers, RunDescription } from '../../src/train/train-handlers.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { failure } from '../fixtures/failure.ts';

const root = mkdtempSync(join(tmpdir(), 'new-text-'));
const at = (name: string): string => join(root, name);

/** One sentence again and again, which is soon predicted almost for certain. */
const easy = 'the cat sat on the mat and the dog ate the hat.\n'.repeat(60);
/** Random sentences of words spelt with the same letters: hard to predict, and another text for the same tokenizer. */
const hard = (lines: number): string => {
  const words = ['team', 'stone', 'canoe', 'demand', 'scent', 'omen', 'coat', 'that', 'and', 'cat'];
  let state = 1;
  const random = (): string => {
    state = (state * 48271) % 2147483647;
    return words[state % words.length];
  };
  return Array.from({ length: lines }, () => `${Array.from({ length: 9 }, random).join(' ')}.\n`).join('');
};

const EASY_STEPS = 120;
const base: TrainModelOptions = {
  corpus: [at('easy.txt')],
  nLayer: 1,
  nHead: 2,
  nEmbd: 32,
  blockSize: 16,
  batchSize: 8,
  maxIters: EASY_STEPS,
  learningRate: 1e-2,
  schedule: 'constant',
  warmupIters: 5,
  evalInterval: 10,
  evalIters: 2,
  valFraction: 0.2,
  dropout: 0,
  sampleTokens: 0,
};

interface Resumed {
  readonly events: readonly TrainEvent[];
  readonly evaluations: readonly (TrainEvent & { type: 'evaluation' })[];
  readonly run: RunDescription;
}

/** Resumes a copy of the run on `easy.txt`. */
async function resumeCopy(
  name: string,
  options: Partial<TrainModelOptions>,
  handlers: TrainHandlers = {},
): Promise<Resumed> {
  cpSync(at('easy'), at(name), { recursive: true });
  return resume(name, { force: true, ...options }, handlers);
}

async function resume(
  name: string,
  options: Partial<TrainModelOptions>,
  handlers: TrainHandlers = {},
): Promise<Resumed> {
  const events: TrainEvent[] = [];
  let run: RunDescription | undefined;
  await trainModel(
    { corpus: [], resume: at(name), ...options },
    {
      ...handlers,
      start: (made) => {
        run = made;
      },
      event: (event, settings) => {
        events.push(event);
        handlers.event?.(event, settings);
      },
    },
  );
  const evaluations = events.filter((event) => event.type === 'evaluation');
  return { events, evaluations, run: run! };
}

const stateOf = (name: string, step: number): TrainerState =>
  readTrainerState(join(at(name), `checkpoint-${step}/gpt_trainer_state.json`));

beforeAll(async () => {
  writeFileSync(at('easy.txt'), easy);
  writeFileSync(at('hard.txt'), hard(80));
  writeFileSync(at('grown.txt'), easy + hard(30));
  await trainModel({ ...base, outDir: at('easy') });
});

describe('a run resumed on a harder text', () => {
  const more = { corpus: [at('hard.txt')], maxIters: EASY_STEPS + 40 };

  test('skips no step, does not roll back, and evaluates the best model again, so that it can be replaced', async () => {
    const before = stateOf('easy', EASY_STEPS);
    const { events, evaluations, run } = await resumeCopy('harder', more);
    expect(run.textChange).toBe('text');
    expect(events.filter((event) => event.type === 'step' && event.skipped !== undefined)).toEqual([]);
    expect(events.filter((event) => event.type === 'rollback')).toEqual([]);
    expect(evaluations[0].best).toBe(true);
    expect(evaluations[0].validationLoss).toBeGreaterThan(before.best_loss! + 0.5);
    const after = stateOf('harder', EASY_STEPS + 40);
    expect(after.best_step).toBeGreaterThan(EASY_STEPS);
    expect(after.best_loss).toBe(Math.min(...evaluations.map(({ validationLoss }) => validationLoss)));
    expect(openModelFolder(at('harder')).metadata['step']).toBe(String(after.best_step));
  });

  test('does not stop early for evaluations on the old text', async () => {
    const patient = { ...base, patience: 1, learningRate: 0, minLr: 0, weightDecay: 0 };
    await trainModel({ ...patient, outDir: at('stopped') });
    expect(stateOf('stopped', 20).evaluations_without_improvement).toBe(1);
    await expect(resume('stopped', { force: true })).rejects.toThrow(failure('nothing-to-do', '1'));
    const { evaluations } = await resume('stopped', { ...more, force: true, learningRate: 1e-2 });
    expect(evaluations.length).toBeGreaterThan(1);
    expect(evaluations[0].best).toBe(true);
  });

  test('resumed again without --force ends with the bytes of an uninterrupted one', async () => {
    await resumeCopy('straight', more);
    let done = 0;
    await resumeCopy('pieces', more, {
      event: (event) => {
        if (event.type === 'step') done = event.step;
      },
      interrupted: () => done === EASY_STEPS + 13,
    });
    const { run } = await resume('pieces', {});
    expect(run.textChange).toBeUndefined();
    expect(differences(bytesOf(at('pieces')), bytesOf(at('straight')))).toEqual([]);
  });

  test('interrupted before its first step, can be resumed with --force again', async () => {
    await resumeCopy('at-once', more, { interrupted: () => true });
    expect(stateOf('at-once', EASY_STEPS)).toEqual(stateOf('easy', EASY_STEPS));
    await resume('at-once', { ...more, force: true });
    expect(differences(bytesOf(at('at-once')), bytesOf(at('straight')))).toEqual([]);
  });

  test('rolls back to a checkpoint of the old text without its losses', async () => {
    let faults = 0;
    const { events } = await resumeCopy('rolled-back', more, {
      inspect: ({ step }, found) =>
        step >= EASY_STEPS + 2 && faults++ < 5 ? { ...found, gradNorm: NaN } : found,
    });
    const rollbacks = events.filter((event) => event.type === 'rollback');
    expect(rollbacks.map(({ to }) => to)).toEqual([EASY_STEPS]);
    expect(rollbacks[0].progress).toMatchObject({ worse: 0, health: { recent: [], rollbacks: 1 } });
  });
});

test('the same text with some hard lines added: the best model is replaced once a better one is found', async () => {
  const { evaluations } = await resumeCopy('grown', { corpus: [at('grown.txt')], maxIters: EASY_STEPS + 40 });
  const old = stateOf('easy', EASY_STEPS).best_loss!;
  expect(Math.min(...evaluations.map(({ validationLoss }) => validationLoss))).toBeGreaterThan(old);
  expect(evaluations.some(({ best }) => best)).toBe(true);
  expect(stateOf('grown', EASY_STEPS + 40).best_step).toBeGreaterThan(EASY_STEPS);
});

test('the best model stays the best on a text that it predicts best, with its loss on that text', async () => {
  const options = {
    corpus: [at('hard.txt')],
    maxIters: EASY_STEPS + 10,
    learningRate: 1, // far too high
  };
  const { evaluations } = await resumeCopy('kept', options);
  expect(evaluations.map(({ best }) => best)).toEqual([false]);
  const { best_step, best_loss } = stateOf('kept', EASY_STEPS + 10);
  expect(best_step).toBe(stateOf('easy', EASY_STEPS).best_step);
  expect(best_loss).toBeGreaterThan(stateOf('easy', EASY_STEPS).best_loss! + 0.5);
});

test('an interrupted measurement of the best model saves nothing', async () => {
  const addingLosses = async function* (): InParts<void> {
    yield;
  };
  const trainer = { addingLosses } as unknown as Trainer;
  const saved: number[] = [];
  const progress = await remeasureBest(
    trainer,
    { ...freshProgress, step: 9, bestStep: 5, bestLoss: 1 },
    'text',
    {
      best: { load: () => {}, saveEstimated: ({ bestStep }) => Promise.resolve(void saved.push(bestStep)) },
      validationSample: [{} as Batch],
      poll: () => Promise.resolve(true),
    },
  );
  expect(progress).toBeUndefined();
  expect(saved).toEqual([]);
});

test('a run that was never evaluated has no best model to evaluate again', () => {
  const progress = { ...freshProgress, step: 9, health: { ...freshHealth, recent: [1, 2], rollbacks: 1 } };
  expect(forgetOldText(progress, 'text', Infinity)).toEqual({ ...freshProgress, step: 9 });
});

test('a best model with a non-finite loss on the new text is replaced by any with a finite one', () => {
  expect(forgetOldText({ ...freshProgress, bestLoss: 1 }, 'sample', NaN).bestLoss).toBe(Infinity);
});

test.each<[string, Partial<TrainModelOptions>, string | undefined]>([
  ['another validation file', { valFile: at('hard.txt') }, 'text'],
  ['another validation share', { valFraction: 0.3 }, 'text'],
  ['another label of the same encoding', { encoding: 'utf8' }, undefined],
  ['another number of evaluation batches', { evalIters: 9 }, 'sample'],
  ['another batch size', { batchSize: 5 }, 'sample'],
  ['another learning rate', { learningRate: 1e-3 }, undefined],
  ['the same text under another name', { corpus: [at('same.txt')] }, undefined],
])('%s with --force', async (name, options, change) => {
  writeFileSync(at('same.txt'), readFileSync(at('easy.txt')));
  let done = 0;
  const { run } = await resumeCopy(
    name,
    { ...options, maxIters: EASY_STEPS + 5, evalInterval: 0 },
    {
      event: (event) => {
        if (event.type === 'step') done = event.step;
      },
      interrupted: () => done === EASY_STEPS + 1,
    },
  );
  expect(run.textChange).toBe(change);
  const [before, after] = [stateOf('easy', EASY_STEPS), stateOf(name, EASY_STEPS + 1)];
  expect(after.best_step).toBe(before.best_step);
  expect(after.best_loss === before.best_loss).toBe(change === undefined);
  expect(after.health.recent_losses.length).toBe(change === 'text' ? 1 : 64);
  const { validation } = summarizeRun(readRun(at(name)));
  expect(validation).toEqual({
    step: after.best_step,
    loss: after.best_loss,
    isEstimate: true,
    isAverage: false,
  });
});
