import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stepOf } from '../../src/data/batches.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { elements } from '../../src/model/parameters.ts';
import { allParts, SIGNAL_POLL_SECONDS } from '../../src/polling.ts';
import { afterSkip, afterStep, faultOf, freshHealth, type Health } from '../../src/train/divergence.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import type { TrainHandlers } from '../../src/train/train-handlers.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { bytesOfTensors } from '../fixtures/tensors.ts';

/** A training whose losses have been `losses`. */
const after = (losses: readonly number[]): Health =>
  losses.reduce((health, loss, i) => afterStep(health, i + 1, loss), freshHealth);
/** Losses around 3 with a standard deviation of about 0.05. */
const ordinary = Array.from({ length: 64 }, (_, i) => 3 + 0.1 * Math.sin(i * i));

describe('a step is faulty', () => {
  test.each([
    [NaN, 1, 'loss not finite'],
    [Infinity, 1, 'loss not finite'],
    [3, NaN, 'gradient not finite'],
    [3, Infinity, 'gradient not finite'],
    [4.8, 1, 'loss spike'],
    [3.9, 1, undefined],
    [0.1, 1, undefined],
  ])('with a loss of %s and a gradient of %s: %s', (loss, gradNorm, fault) => {
    expect(faultOf(after(ordinary), loss, gradNorm)).toBe(fault);
  });

  test('by a spike, only where noise is small enough', () => {
    const noisy = ordinary.map((loss) => 3 + 5 * (loss - 3));
    expect(faultOf(after(noisy), 5, 1)).toBeUndefined();
    expect(faultOf(after(ordinary.slice(0, 19)), 100, 1)).toBeUndefined();
    expect(faultOf(after(ordinary.slice(0, 20)), 100, 1)).toBe('loss spike');
  });

  test('but not by a few outliers among earlier losses, which would shift a mean', () => {
    expect(faultOf(after([...ordinary.slice(10), 9, 9, 9, 9]), 5, 1)).toBe('loss spike');
  });

  test('by a spike, but not by another as large after training has recovered from the first', () => {
    const spike = afterSkip(after(ordinary), 7);
    expect(faultOf(spike, 7, 1)).toBe('loss spike'); // it goes on
    const over = afterStep(spike, 66, 3);
    expect(faultOf(over, 7, 1)).toBeUndefined();
    expect(faultOf(over, 7.1, 1)).toBe('loss spike');
    const later = Array.from({ length: 1001 }, (_, i) => 67 + i).reduce(
      (h, step) => afterStep(h, step, 3),
      over,
    );
    expect(faultOf(later, 7, 1)).toBe('loss spike'); // long ago
  });
});

const root = mkdtempSync(join(tmpdir(), 'divergence-'));
writeFileSync(join(root, 'corpus.txt'), 'the white whale and the sea and the ship '.repeat(60));
const options: TrainModelOptions = {
  corpus: [join(root, 'corpus.txt')],
  nLayer: 1,
  nHead: 2,
  nEmbd: 8,
  blockSize: 8,
  batchSize: 2,
  maxIters: 40,
  evalInterval: 10,
  evalIters: 2,
  threads: 1,
};
type Inspect = NonNullable<TrainHandlers['inspect']>;
type Step = TrainEvent & { type: 'step' };

async function trainWith(name: string, inspect: Inspect, more: Partial<TrainModelOptions> = {}) {
  const events: TrainEvent[] = [];
  const folder = join(root, name);
  const result = await trainModel(
    { ...options, outDir: folder, ...more },
    { inspect, event: (event) => events.push(event) },
  ).catch((error: Error) => error);
  const steps = events.filter((event): event is Step => event.type === 'step');
  const rollbacks = events.filter((event) => event.type === 'rollback');
  return { result, folder, events, steps, rollbacks };
}
const metrics = (folder: string) =>
  readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('training', () => {
  test.each([
    ['a loss that is NaN', { loss: NaN }, 'loss not finite'],
    ['a gradient that is infinite', { gradNorm: Infinity }, 'gradient not finite'],
    ['a loss spike', { loss: 50 }, 'loss spike'],
  ])('skips a step with %s, to the bit', async (name, fault, skipped) => {
    const states: Promise<Buffer>[] = [];
    const { steps, rollbacks, folder } = await trainWith(name, ({ step }, found, trainer) => {
      if (step === 29 || step === 30)
        states.push(bytesOfTensors([...trainer.parameters(), ...trainer.moments()]));
      return step === 29 ? { ...found, ...fault } : found;
    });
    const [without, withStep] = await Promise.all(states);
    expect(without.equals(withStep)).toBe(true);
    expect(steps.filter((step) => step.skipped !== undefined)).toMatchObject([{ step: 30, skipped }]);
    expect(rollbacks).toEqual([]);
    expect(metrics(folder).filter((line) => 'skipped' in line)).toMatchObject([{ step: 30, skipped }]);
    const state = JSON.parse(
      readFileSync(join(folder, 'checkpoint-40/gpt_trainer_state.json'), 'utf8'),
    ) as object;
    expect(state).toMatchObject({ step: 40, updates: 39, good_step: 40 });
  });

  test('corrects the bias of the moments by the number of updates, not of steps', async () => {
    const skipping = await trainWith('skipping', ({ step }, found) =>
      step === 0 ? { ...found, loss: NaN } : found,
    );
    const fresh = await trainWith('fresh', (_, found) => found);
    // Both have taken their first update now, with another batch and rate. AdamW's is ± the rate for every number.
    const change = (folder: typeof fresh) =>
      folder.steps.find((step) => step.skipped === undefined)!.learningRate;
    expect(change(skipping)).toBeGreaterThan(change(fresh));
    const state = JSON.parse(
      readFileSync(join(skipping.folder, 'checkpoint-40/gpt_trainer_state.json'), 'utf8'),
    ) as {
      updates: number;
    };
    expect(state.updates).toBe(39);
  });

  const breakOnce: Inspect = ({ step, health }, found, trainer) => {
    if (step === 22 && health.rollbacks === 0) trainer.parameters()[0].write(Float32Array.of(NaN));
    return found;
  };

  test('rolls back to the last good checkpoint with half the learning rate when parameters are not finite', async () => {
    const { steps, rollbacks, folder, result } = await trainWith('broken', breakOnce);
    expect(rollbacks).toMatchObject([
      { from: 28, to: 20, cause: { fault: 'loss not finite', tensor: 'wte.weight is not finite' } },
    ]);
    const order = steps.map(({ step }) => step);
    expect(order).toEqual([...range(1, 28), ...range(21, 40)]);
    const [first, second] = [20, 28].map((i) => steps[i]);
    expect(second).toMatchObject({ step: 21, loss: first.loss, learningRate: first.learningRate / 2 });
    expect(metrics(folder).find((line) => 'rollback_to' in line)).toEqual({
      step: 28,
      rollback_to: 20,
      rollbacks: 1,
      fault: 'loss not finite',
      tensor: 'wte.weight is not finite',
      tokens_seen: expect.any(Number),
      elapsed_seconds: expect.any(Number),
    });
    expect(result).toMatchObject({ reason: 'finished', progress: { step: 40, health: { rollbacks: 1 } } });
  });

  test('starts again from step 0 if there is no good checkpoint yet', async () => {
    const { rollbacks, steps } = await trainWith('early', ({ step, health }, found, trainer) => {
      if (step === 3 && health.rollbacks === 0)
        trainer.parameters()[1].write(Float32Array.of(Infinity, Infinity));
      return found;
    });
    expect(rollbacks).toMatchObject([{ from: 9, to: 0, cause: { tensor: 'wpe.weight is not finite' } }]);
    expect(steps[9]).toMatchObject({ step: 1, loss: steps[0].loss });
  });

  test('marks no checkpoint as good while steps are being skipped', async () => {
    const { rollbacks } = await trainWith('streak', ({ step, health }, found, trainer) => {
      if (step === 17 && health.rollbacks === 0) trainer.parameters()[0].write(Float32Array.of(NaN)); // evaluated at 20
      return found;
    });
    expect(rollbacks).toMatchObject([{ from: 20, to: 10, cause: { fault: 'evaluation not finite' } }]);
  });

  test('gives up after three rollbacks, keeps the good checkpoint, and reports the first fault', async () => {
    const { result, rollbacks, folder } = await trainWith('hopeless', ({ step }, found, trainer) => {
      if (step === 12) trainer.parameters()[2].write(Float32Array.of(-Infinity), 5);
      return found;
    });
    expect(rollbacks).toHaveLength(3);
    expect(result).toBeInstanceOf(Error);
    expect((result as Error).message).toMatch(/step 18\b.*\b3\b.*not finite.*h\.0\.attn\.c_attn\.weight/);
    expect(readdirSync(folder)).toContain('checkpoint-10');
    expect(readdirSync(folder)).not.toContain('run.lock');
    const again = await trainWith('hopeless', (_, found) => found, {
      corpus: [],
      resume: folder,
      outDir: undefined!,
    });
    expect(again.result).toMatchObject({ reason: 'finished' });
  });

  test('resumes to the same bits from any step, across skipped steps and rollbacks', async () => {
    const faults: Inspect = ({ step, health }, found, trainer) => {
      if (step === 3 || step === 4) return { ...found, loss: NaN };
      return breakOnce({ step, health } as never, found, trainer);
    };
    const straight = await trainWith('straight', faults);
    for (const stop of [3, 4, 22, 26, 28, 30]) {
      const folder = join(root, `stopped at ${stop}`);
      let done = 0;
      await trainModel(
        { ...options, outDir: folder },
        {
          inspect: faults,
          event: (event) => {
            if (event.type === 'step') done++;
          },
          interrupted: () => done === stop,
        },
      );
      await trainModel({ corpus: [], resume: folder, threads: 1 }, { inspect: faults });
      expect(differences(bytesOf(folder), bytesOf(straight.folder)), folder).toEqual([]);
    }
  });

  test.each([
    ['step', 22, 27], // five steps are skipped
    ['evaluation', 17, 20],
  ])('repeats a faulty %s if the search for its cause is interrupted', async (name, broken, saved) => {
    const breakAt: Inspect = ({ step, health }, found, trainer) => {
      if (step === broken && health.rollbacks === 0) trainer.parameters()[0].write(Float32Array.of(NaN));
      return found;
    };
    const straight = await trainWith(`searched ${name}`, breakAt);
    const folder = join(root, `searching ${name}`);
    let isSearching = false;
    const { reason, progress } = await trainModel(
      { ...options, outDir: folder },
      {
        inspect(before, found, trainer) {
          trainer.findFault = async function* () {
            isSearching = true;
            const start = performance.now();
            while (performance.now() - start < 1000 * SIGNAL_POLL_SECONDS);
            yield;
            throw new Error('the search was not abandoned');
          };
          return breakAt(before, found, trainer);
        },
        interrupted: () => isSearching,
      },
    );
    expect({ reason, step: progress.step }).toEqual({ reason: 'interrupted', step: saved });
    await trainModel({ corpus: [], resume: folder, threads: 1 }, { inspect: breakAt });
    expect(differences(bytesOf(folder), bytesOf(straight.folder))).toEqual([]);
  });
});

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('the first fault of a diverged step', () => {
  const config = { ...gpt2Defaults, vocabSize: 9, blockSize: 4, nLayer: 2, nHead: 1, nEmbd: 8, dropout: 0 };
  const batch = { inputs: Int32Array.of(1, 2, 3, 4), targets: Int32Array.of(2, 3, 4, 5) };
  const adamw = {
    optimizer: 'adamw',
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0,
    momentum: 0,
    gradClip: 0,
  } as const;

  test.each([
    ['a parameter', 'h.1.ln_1.bias', NaN, 'h.1.ln_1.bias is not finite'],
    ['a result', 'h.1.mlp.c_fc.weight', 3e38, 'the output of h.1.mlp.c_fc (gemm) is not finite'],
    ['a gradient', 'h.0.ln_2.weight', 1e-30, 'all values are finite; '],
  ])('is named: %s', async (_name, tensor, value, expected) => {
    const backend = await createWasmBackend({ threads: 1 });
    const programs = trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer: 'adamw' });
    const trainer = new Trainer(backend, programs, adamw, 1);
    trainer.initialize();
    const { write, shape } = trainer.parameters().find(({ name }) => name === tensor)!;
    write(new Float32Array(elements(shape)).fill(value));
    expect(await allParts(trainer.findFault(0, stepOf([batch])))).toContain(expected);
    await backend.close();
  });
});
