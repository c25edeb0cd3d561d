/** Runs with `syncEvery`: ranks train replicas apart, and an outer step joins them. */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { Communicator } from '../../../src/collective/communicator.ts';
import { readTrainerState, trainerStateText } from '../../../src/checkpoint/trainer-state.ts';
import type { TrainEvent } from '../../../src/train/events.ts';
import { TAG } from '../../../src/train/ranks/messages.ts';
import { STEP_ACKNOWLEDGEMENT } from '../../../src/train/replicas/execute-command.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import { progressToState } from '../../../src/train/stored-progress.ts';
import type { TrainHandlers } from '../../../src/train/train-handlers.ts';
import { trainModel } from '../../../src/train/train-model.ts';
import { Trainer } from '../../../src/train/trainer.ts';
import { failure } from '../../fixtures/failure.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';
import {
  lastOf,
  MODEL_PREFIX,
  replicaConfigurations,
  STEPS,
  stopAfter,
  SYNC_EVERY,
  tensorsOf,
} from '../../fixtures/replica-runs.ts';
import { bytesOf, differences } from '../../fixtures/run-bytes.ts';
import { trainOn } from '../../fixtures/train-on-ranks.ts';

const root = mkdtempSync(join(tmpdir(), 'replicas-'));
const at = (...names: string[]): string => join(root, ...names);

let runs: Record<string, TrainModelOptions>;
beforeAll(async () => {
  runs = await replicaConfigurations(root);
});

/** Runs by name, with the numbers of replicas to train them with. */
const cases = (
  sizes: (name: string) => readonly number[],
): (readonly [string, number, TrainModelOptions])[] =>
  Object.entries(runs).flatMap(([name, options]) =>
    sizes(name).map((size) => [name, size, options] as const),
  );

test('the same number of replicas trains a run to the same bytes', async () => {
  for (const [name, size, options] of cases((run) => (run.startsWith('GPT-2') ? [1, 2, 4] : [2]))) {
    const [first, second] = ['first', 'second'].map((run) => at(`${name}-${size}-${run}`));
    const expected = await trainOn(size, { ...options, outDir: first });
    const found = await trainOn(size, { ...options, outDir: second });
    expect(found.validationLoss).toBe(expected.validationLoss);
    expect(differences(bytesOf(first), bytesOf(second)), `${name}, ${size} replicas`).toEqual([]);
  }
});

test('a run resumes to the same bytes before, at and after a synchronization', async () => {
  for (const [name, size, options] of cases((run) => (run.startsWith('GPT-2 with AdamW') ? [1, 4] : [2]))) {
    const expected = lastOf(at(`${name}-${size}-first`));
    expect(expected.size).toBeGreaterThan(1);
    const outDir = at(`${name}-${size}-resumed`);
    await trainOn(size, { ...options, outDir }, stopAfter(3));
    for (const step of [4, 5])
      await trainOn(size, { corpus: [], resume: outDir, threads: 1 }, stopAfter(step));
    await trainOn(size, { corpus: [], resume: outDir, threads: 1 });
    expect(differences(expected, lastOf(outDir)), `${name}, ${size} replicas`).toEqual([]);
  }
});

describe('between two synchronizations', () => {
  const replicasAt = async (step: number): Promise<Map<string, Float32Array>> => {
    const outDir = at(`stopped-${step}`);
    const [options] = Object.values(runs);
    await trainOn(3, { ...options, outDir }, stopAfter(step));
    const folder = join(outDir, `checkpoint-${step}`);
    return new Map([
      ...tensorsOf(join(folder, 'replicas.safetensors')),
      ['rank 0', tensorsOf(join(folder, 'model.safetensors')).get('transformer.wte.weight')!],
    ]);
  };
  const embeddingOf = (tensors: Map<string, Float32Array>, name: string): number[] | undefined => {
    const found = [...tensors.keys()].find((each) => each.startsWith(name) && each.endsWith('wte.weight'));
    return found === undefined ? undefined : [...tensors.get(found)!];
  };

  test('a checkpoint has the parameters of all replicas, which differ', async () => {
    const tensors = await replicasAt(3);
    const all = [
      tensors.get('rank 0')!,
      ...[1, 2].map((rank) => embeddingOf(tensors, `${rank}.parameters.`)!),
    ];
    const [anchor] = ['outer.anchor.'].map((name) => embeddingOf(tensors, name)!);
    for (const [i, parameters] of all.entries())
      for (const other of [...all.slice(i + 1), anchor]) expect([...parameters]).not.toEqual([...other]);
  });

  test('and after one only what still differs', async () => {
    const tensors = await replicasAt(4);
    const kinds = new Set([...tensors.keys()].map((name) => name.split('.').slice(0, 2).join('.')));
    expect([...kinds].toSorted()).toEqual(['1.m', '1.v', '2.m', '2.v', 'outer.momentum', 'rank 0']);
    expect(embeddingOf(tensors, '1.m.')).not.toEqual(embeddingOf(tensors, '2.m.'));
  });
});

test('the outer momentum and the anchor of the last synchronization are saved and restored', async () => {
  const [options] = Object.values(runs);
  const outDir = at('outer');
  const [learningRate, momentum] = [0.5, 0.8];
  const outer = { outerLr: learningRate, outerMomentum: momentum };
  const saved = async (step: number): Promise<Record<'model' | 'replicas', Map<string, Float32Array>>> => {
    const run = step === 0 ? { ...options, ...outer, outDir } : { corpus: [], resume: outDir, threads: 1 };
    await trainOn(3, run, stopAfter(step));
    const checkpoint = join(outDir, `checkpoint-${step}`);
    const file = join(checkpoint, 'replicas.safetensors');
    return {
      model: tensorsOf(checkpoint, 'model.safetensors'),
      replicas: existsSync(file) ? tensorsOf(file) : new Map(),
    };
  };
  const before = await saved(0);
  expect(before.replicas.size).toBe(0);
  const after = await saved(SYNC_EVERY);
  const next = [await saved(SYNC_EVERY + 1), await saved(SYNC_EVERY + 2)];
  for (const [name, anchor] of after.model) {
    const internal = name.replace(MODEL_PREFIX, '');
    const found = after.replicas.get(`outer.momentum.${internal}`)!;
    for (const [i, x] of anchor.entries()) {
      // The first step moves by λ·(g + μ·m), where m = g.
      const expected = (before.model.get(name)![i] - x) / (learningRate * (1 + momentum));
      expect(Math.abs(found[i] - expected), `${name}[${i}]`).toBeLessThan(1e-6);
    }
    expect(found.some((x) => Math.abs(x) > 1e-3)).toBe(true);
    for (const { replicas, model } of next) {
      expect(replicas.get(`outer.momentum.${internal}`)).toEqual(found);
      expect(replicas.get(`outer.anchor.${internal}`)).toEqual(anchor);
      expect(model.get(name)).not.toEqual(anchor);
    }
  }
});

test('with an outer step of 1 after every step of SGD, replicas are data parallelism', async () => {
  const [, , , sgd] = Object.values(runs);
  // Dropout masks depend on the micro-batch's index in the whole step.
  const options = {
    ...sgd,
    optimizer: 'sgd',
    dropout: 0.2,
    gradientAccumulationSteps: 4,
    gradClip: 0,
  } as const;
  const { syncEvery: _, ...plain } = options;
  await trainOn(1, { ...plain, outDir: at('plain') });
  await trainOn(2, { ...options, syncEvery: 1, outerLr: 1, outerMomentum: 0, outDir: at('every') });
  const model = (run: string) => tensorsOf(at(run, `checkpoint-${STEPS}`, 'model.safetensors'));
  const expected = model('plain');
  for (const [name, numbers] of model('every'))
    for (const [i, x] of numbers.entries())
      expect(Math.abs(x - expected.get(name)![i]), `${name}[${i}]`).toBeLessThan(1e-5);
});

test('an evaluation that is due waits for the next synchronization', async () => {
  const [options] = Object.values(runs);
  const evaluated: number[] = [];
  const event = ({ type, ...rest }: TrainEvent): void =>
    void (type === 'evaluation' && 'step' in rest && evaluated.push(rest.step));
  await trainOn(2, { ...options, evalInterval: 3, outDir: at('waits') }, { event });
  expect(evaluated).toEqual([4, 8, STEPS]);
});

test('a rollback restores all replicas, as resuming does', async () => {
  const [options] = Object.values(runs);
  const maxIters = 14;
  const faulty = { ...options, maxIters, evalInterval: SYNC_EVERY };
  /** Losses that look like divergence, two steps after an evaluation. */
  const handlers = (stops: boolean): TrainHandlers => {
    let faults = 0;
    let isRolledBack = false;
    return {
      inspect: ({ step }, found) => (step >= 6 && faults++ < 5 ? { ...found, loss: NaN } : found),
      event: ({ type }) => void (isRolledBack ||= type === 'rollback'),
      interrupted: () => stops && isRolledBack,
    };
  };
  await trainOn(3, { ...faulty, outDir: at('rolled') }, handlers(false));
  const resume = at('rolled-resumed');
  const { reason, progress } = await trainOn(3, { ...faulty, outDir: resume }, handlers(true));
  expect([reason, progress.step, progress.health.rollbacks]).toEqual(['interrupted', SYNC_EVERY, 1]);
  // The checkpoint is older than the faults; with what they changed, it is the state after the rollback.
  const file = join(resume, `checkpoint-${SYNC_EVERY}`, 'gpt_trainer_state.json');
  const { format: _, ...state } = readTrainerState(file);
  writeFileSync(file, trainerStateText({ ...state, health: progressToState(progress).health }));
  await trainOn(3, { corpus: [], resume, threads: 1 });
  expect(lastOf(at('rolled'), maxIters).size).toBeGreaterThan(1);
  const differing = differences(lastOf(at('rolled'), maxIters), lastOf(resume, maxIters));
  expect(differing).toEqual(['checkpoint-14/gpt_trainer_state.json']); // the length of metrics.jsonl
});

test('a fault is looked for in the gradient of rank 0, whose share alone has a place there', async () => {
  const [options] = Object.values(runs);
  const searches = vi.spyOn(Trainer.prototype, 'findFault');
  const faulty: TrainHandlers = {
    inspect: ({ health: { rollbacks } }, found) => (rollbacks === 0 ? { ...found, loss: NaN } : found),
  };
  await trainOn(2, { ...options, outDir: at('fault') }, faulty);
  const [[step, { microBatches, counted, batches }], ...more] = searches.mock.calls;
  expect([step, microBatches, [...batches].length, more.length]).toEqual([4, 4, 4, 0]);
  expect(counted).toBe(4 * options.batchSize! * options.blockSize!);
  searches.mockRestore();
});

test('a replica whose own gradient is not finite skips its update', async () => {
  const [options] = Object.values(runs);
  let leading: Trainer | undefined;
  let faults = 1;
  const compute = Reflect.get(Trainer.prototype, 'gradNorm');
  const norms = vi.spyOn(Trainer.prototype, 'gradNorm').mockImplementation(async function (this: Trainer) {
    const norm = await compute.call(this);
    return leading !== undefined && this !== leading && faults-- > 0 ? NaN : norm;
  });
  const updates = vi.spyOn(Trainer.prototype, 'update');
  const inspect: TrainHandlers['inspect'] = (_before, found, trainer) => {
    leading = trainer;
    return found;
  };
  await trainOn(2, { ...options, outDir: at('faulty') }, { inspect });
  const ofLeading = updates.mock.contexts.filter((trainer) => trainer === leading).length;
  expect([ofLeading, updates.mock.calls.length - ofLeading]).toEqual([STEPS, STEPS - 1]);
  norms.mockRestore();
  updates.mockRestore();
});

test('rank 0 hears of every step of a replica before it waits for all, so that a slow one is not lost', async () => {
  const [options] = Object.values(runs);
  const [leader, other] = ranksInMemory(2);
  let heard = 0;
  const heardBefore: number[] = [];
  const watched: Communicator = {
    ...leader,
    send(to, tag, data) {
      const isMeeting = tag === TAG.command && Buffer.from(data).toString('latin1').includes('"synchronize"');
      if (isMeeting) heardBefore.push(heard);
      return leader.send(to, tag, data);
    },
    async receive(from, tag, into) {
      await leader.receive(from, tag, into);
      if (tag === TAG.reply && into.byteLength === STEP_ACKNOWLEDGEMENT) heard++;
    },
  };
  await trainOn(2, { ...options, outDir: at('heard') }, {}, [watched, other]);
  expect(heardBefore).toEqual([4, 8]);
});

test('another number of ranks is refused', async () => {
  const [options] = Object.values(runs);
  const outDir = at('two');
  await trainOn(2, { ...options, maxIters: 4, outDir });
  const resume = { corpus: [], resume: outDir, maxIters: 8, threads: 1 };
  const refusal = failure('conflicting-options', '2 replicas', 'one process');
  await expect(trainOn(1, resume)).rejects.toThrow(refusal);
  const [leader] = ranksInMemory(9); // more than a step has micro-batches
  await expect(trainModel(resume, {}, leader)).rejects.toThrow(
    failure('conflicting-options', '2 replicas', '9 ranks'),
  );
  await expect(trainOn(1, { ...resume, syncEvery: 8 })).rejects.toThrow(
    failure('conflicting-options', 'syncEvery'),
  );
});
