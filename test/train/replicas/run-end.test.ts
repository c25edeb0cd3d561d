/** How runs of replicas end: the model is the mean of replicas that have diverged, and the state keeps each of them. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { latestCheckpoint } from '../../../src/checkpoint/checkpoint-folders.ts';
import { readTrainerState } from '../../../src/checkpoint/trainer-state.ts';
import { readTensors, type NamedTensor } from '../../../src/model/tensor.ts';
import { meanLoss, type EvaluatedModel } from '../../../src/train/mean-loss.ts';
import type { Averaging } from '../../../src/train/progress.ts';
import { loopData } from '../../../src/train/session/loop-data.ts';
import type { Trainer } from '../../../src/train/trainer.ts';
import type { RunDescription, TrainHandlers } from '../../../src/train/train-handlers.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import { SharedTrainer } from '../../../src/train/ranks/shared-trainer.ts';
import { Replica } from '../../../src/train/replicas/replica.ts';
import { failure } from '../../fixtures/failure.ts';
import {
  lastOf,
  meanOfReplicas,
  MODEL_PREFIX,
  replicaConfigurations,
  stopAfter,
  SYNC_EVERY,
  tensorsOf,
} from '../../fixtures/replica-runs.ts';
import { differences } from '../../fixtures/run-bytes.ts';
import { trainOn } from '../../fixtures/train-on-ranks.ts';

const root = mkdtempSync(join(tmpdir(), 'replicas-end-'));
const at = (...names: string[]): string => join(root, ...names);

/** A step between two synchronizations. */
const BETWEEN = 6;
const RANKS = 3;

let plain: TrainModelOptions;
/** With a moving average of the parameters. */
let averaging: TrainModelOptions;
beforeAll(async () => {
  [plain, averaging] = Object.values(await replicaConfigurations(root));
});

const resume = (folder: string, more: Partial<TrainModelOptions> = {}): TrainModelOptions => ({
  corpus: [],
  resume: folder,
  threads: 1,
  ...more,
});

/** The options of a run, as its last checkpoint has them. */
function optionsOf(folder: string): Partial<TrainModelOptions> {
  const file = join(latestCheckpoint(folder)!.folder, 'gpt_trainer_state.json');
  const { options } = readTrainerState(file);
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
}

test('the model of a run that ends between two synchronizations is the mean of the replicas', async () => {
  const outDir = at('mean');
  await trainOn(RANKS, { ...plain, maxIters: BETWEEN, outDir });
  const mean = meanOfReplicas(join(outDir, `checkpoint-${BETWEEN}`), RANKS);
  expect(tensorsOf(outDir, 'model.safetensors')).toEqual(mean);
});

test('so is the model of a run that is interrupted before its first evaluation, which resumes to the same bytes', async () => {
  const [expected, outDir] = [at('undisturbed'), at('interrupted')];
  const options = { ...averaging, evalInterval: 0 };
  await trainOn(RANKS, { ...options, outDir: expected });
  const { reason } = await trainOn(RANKS, { ...options, outDir }, stopAfter(BETWEEN));
  expect(reason).toBe('interrupted');
  const mean = meanOfReplicas(join(outDir, `checkpoint-${BETWEEN}`), RANKS);
  expect(tensorsOf(outDir, 'model.safetensors')).toEqual(mean);
  await trainOn(RANKS, resume(outDir));
  expect(differences(lastOf(expected), lastOf(outDir))).toEqual([]);
});

/** What a run evaluates: the tensors in the memory of rank 0, and the losses that it alone computes of them. */
interface Evaluated {
  readonly parameters: readonly NamedTensor[];
  readonly average: readonly NamedTensor[];
  readonly found: Averaging;
  readonly expected: Averaging;
}

/** @param evaluated called at each evaluation */
function watchEvaluations(evaluated: (what: Evaluated) => void): TrainHandlers {
  let trainer: Trainer;
  let run: RunDescription;
  return {
    start: (made) => void (run = made),
    inspect(_before, found, leading) {
      trainer = leading;
      return found;
    },
    async event(event, settings) {
      if (event.type !== 'evaluation') return;
      const { validationSample } = loopData(run.split, settings);
      const lossOf = async (model: EvaluatedModel): Promise<number> =>
        (await meanLoss(model, validationSample(), () => Promise.resolve(false)))!;
      const average = trainer.average!;
      evaluated({
        parameters: await readTensors(trainer.parameters()),
        average: await readTensors(average.parameters()),
        found: event.averaging!,
        expected: { weightsLoss: await lossOf(trainer), averageLoss: await lossOf(average) },
      });
    },
  };
}

test('at the end, the mean of the replicas is evaluated, and the mean of their averages', async () => {
  const outDir = at('averages');
  const evaluations: Evaluated[] = [];
  const handlers = watchEvaluations((what) => void evaluations.push(what));
  await trainOn(RANKS, { ...averaging, maxIters: BETWEEN, outDir }, handlers);
  expect(evaluations).toHaveLength(1);
  const [{ parameters, average, found, expected }] = evaluations;
  const checkpoint = join(outDir, `checkpoint-${BETWEEN}`);
  const byName = (tensors: readonly NamedTensor[]): Map<string, Float32Array> =>
    new Map(tensors.map(({ name, data }) => [name, data]));
  for (const [what, tensors] of [
    ['parameters', byName(parameters)],
    ['average', byName(average)],
  ] as const)
    for (const [name, mean] of meanOfReplicas(checkpoint, RANKS, what))
      expect(tensors.get(name.replace(MODEL_PREFIX, '')), `${what} of ${name}`).toEqual(mean);
  expect(found).toEqual(expected);
  expect(found.weightsLoss).not.toBe(found.averageLoss);
});

test('a run with replicas that is stopped early continues to the bytes of one that is not', async () => {
  const options = { ...plain, learningRate: 0.1, evalInterval: SYNC_EVERY, maxIters: 4 * SYNC_EVERY };
  const [expected, outDir] = [at('patient'), at('stopped-early')];
  await trainOn(RANKS, { ...options, outDir: expected });
  const { reason, progress } = await trainOn(RANKS, { ...options, patience: 1, outDir });
  expect(reason).toBe('stopped early');
  expect(progress.step).toBeLessThan(options.maxIters);
  expect(progress.step % SYNC_EVERY).toBe(0);
  await trainOn(RANKS, resume(outDir, { patience: 0 }));
  expect(differences(lastOf(expected, options.maxIters), lastOf(outDir, options.maxIters))).toEqual([]);
});

test('a run of replicas with a time limit can be repeated by its options, and continued', async () => {
  const outDir = at('timed');
  const { maxIters: _, evalInterval: _interval, ...untimed } = plain;
  const { reason, progress } = await trainOn(2, { ...untimed, minutes: 0.03, outDir });
  expect(reason).toBe('finished');
  const timed = lastOf(outDir, progress.step);
  const again = at('timed-again');
  const options = optionsOf(outDir);
  await trainOn(2, { ...options, corpus: plain.corpus, threads: 1, outDir: again });
  expect(differences(timed, lastOf(again, progress.step))).toEqual([]);

  const { progress: continued } = await trainOn(2, resume(outDir, { minutes: 0.05 }));
  expect(continued.step).toBeGreaterThan(progress.step);
});

/**
 * The checkpoint of a step cannot be written. The run is interrupted in the evaluation that follows, when there is space
 * again.
 */
function failingCheckpoint(folder: string, step: number): TrainHandlers {
  const taken = join(folder, `checkpoint-${step}`, 'another-file');
  let isInterrupted = false;
  return {
    event: (event) =>
      void (event.type === 'step' && event.step === step && mkdirSync(taken, { recursive: true })),
    notSaved() {
      rmSync(join(folder, `checkpoint-${step}`), { recursive: true });
      isInterrupted = true;
    },
    working(what) {
      if (what !== 'evaluating') return;
      const until = performance.now() + 200; // the signal is looked for every 0.1 s
      while (performance.now() < until);
    },
    interrupted: () => isInterrupted,
  };
}

test('no checkpoint is written once the last evaluation has replaced the replicas by their mean', async () => {
  const [expected, outDir] = [at('extended'), at('full')];
  const options = { ...averaging, maxIters: BETWEEN, saveEvery: BETWEEN - 1 };
  const more = { maxIters: 2 * BETWEEN };
  await trainOn(RANKS, { ...options, outDir: expected });
  await trainOn(RANKS, resume(expected, more));

  const run = trainOn(RANKS, { ...options, outDir }, failingCheckpoint(outDir, BETWEEN));
  await expect(run).rejects.toThrow(failure('write-failed', `step ${BETWEEN} could not be saved`));
  expect(latestCheckpoint(outDir)?.step).toBe(BETWEEN - 1);
  await trainOn(RANKS, resume(outDir));
  await trainOn(RANKS, resume(outDir, more));
  expect(differences(lastOf(expected, more.maxIters), lastOf(outDir, more.maxIters))).toEqual([]);
});

test.each([
  ['replicas', () => vi.spyOn(Replica.prototype, 'gather'), SYNC_EVERY],
  ['ranks that share every step', () => vi.spyOn(SharedTrainer.prototype, 'gatherState'), undefined],
])('the state of %s is collected once for a step that is saved', async (name, spy, syncEvery) => {
  const gathered = spy();
  let isEvaluated = false;
  const handlers: TrainHandlers = {
    event: ({ type }) => void (isEvaluated ||= type === 'evaluation'),
    interrupted: () => isEvaluated,
  };
  const options = { ...plain, syncEvery, evalInterval: SYNC_EVERY, outDir: at(`collected-${name}`) };
  const { progress } = await trainOn(RANKS, options, handlers);
  expect(progress.step).toBe(SYNC_EVERY);
  expect(gathered).toHaveBeenCalledTimes(RANKS);
  gathered.mockRestore();
});
