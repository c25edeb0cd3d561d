/** How runs of replicas end: the model is the mean of replicas that have diverged, and the state keeps each of them. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { latestCheckpoint } from '../../../src/checkpoint/checkpoint-folders.ts';
import type { TrainHandlers } from '../../../src/train/train-handlers.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import { SharedTrainer } from '../../../src/train/ranks/shared-trainer.ts';
import { Replica } from '../../../src/train/replicas/replica.ts';
import { failure } from '../../fixtures/failure.ts';
import {
  lastOf,
  meanOfReplicas,
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
