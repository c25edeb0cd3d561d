/** Whatever uses a device gets the same bytes from one whose commands take effect later as from one that obeys at once. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { stepOf } from '../../src/data/batches.ts';
import type { ChosenBackend } from '../../src/engine/backend.ts';
import type { Device } from '../../src/engine/device.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { checkDevice } from '../../src/engine/try-kernel.ts';
import { SequenceBatch } from '../../src/generate/sequence-batch.ts';
import { beamSearch } from '../../src/generate/beam-search.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { readActivations } from '../../src/inspect/activations.ts';
import { evaluate } from '../../src/library/evaluate.ts';
import { load } from '../../src/library/model.ts';
import { sample } from '../../src/library/sample.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { elements } from '../../src/model/parameters.ts';
import { allParts } from '../../src/polling.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import type { TrainHandlers } from '../../src/train/train-handlers.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { collect } from '../fixtures/collect.ts';
import { DelayedDevice } from '../fixtures/delayed-device.ts';
import { normInPairs } from '../fixtures/pair-norm.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';

const makers = { atOnce: () => createReferenceBackend('float32'), delayed: () => new DelayedDevice() };
const engine = vi.hoisted(() => ({ make: undefined as unknown as () => Device }));
vi.mock('../../src/engine/backend.ts', () => ({
  chooseBackend: (): Promise<ChosenBackend> => Promise.resolve({ backend: engine.make(), rejected: [] }),
  lazyBackend: () => {
    const chosen = { backend: engine.make(), rejected: [] };
    return { threads: 1, open: () => Promise.resolve(chosen), close: () => chosen.backend.close() };
  },
}));

const root = mkdtempSync(join(tmpdir(), 'delayed-device-'));
const at = (name: string): string => join(root, name);
afterAll(() => rmSync(root, { recursive: true }));

const options: TrainModelOptions = {
  corpus: [at('corpus.txt')],
  nLayer: 2,
  nHead: 2,
  nEmbd: 16,
  blockSize: 12,
  dropout: 0.1,
  batchSize: 2,
  gradientAccumulationSteps: 3,
  learningRate: 0.01,
  maxIters: 24,
  evalInterval: 6,
  evalIters: 2,
  sampleTokens: 20,
};

/** Breaks the parameters once, so that training returns to a checkpoint. */
const inspect: TrainHandlers['inspect'] = ({ step, health }, found, trainer) => {
  if (step === 13 && health.rollbacks === 0) trainer.parameters()[3].write(Float32Array.of(NaN), 7);
  return found;
};

beforeAll(async () => {
  writeFileSync(at('corpus.txt'), 'the white whale and the sea and the ship, the harpoon '.repeat(40));
  engine.make = makers.atOnce;
  await trainModel({ ...options, outDir: at('at-once') }, { inspect, sample: () => {} });
  engine.make = makers.delayed;
});

test('a run trains, evaluates, samples, rolls back and saves', async () => {
  const device = new DelayedDevice();
  engine.make = () => device;
  const { progress } = await trainModel({ ...options, outDir: at('run') }, { inspect, sample: () => {} });
  engine.make = makers.delayed;
  expect(progress.health.rollbacks).toBe(1);
  expect(device.commands).toBeGreaterThan(1000);
  expect(differences(bytesOf(at('run')), bytesOf(at('at-once')))).toEqual([]);
});

test('a run is interrupted and resumed', async () => {
  for (const stop of [5, 13, 20]) {
    const outDir = at(`resumed at ${stop}`);
    let done = 0;
    await trainModel(
      { ...options, outDir },
      {
        inspect,
        sample: () => {},
        event: (event) => void (event.type === 'step' && done++),
        interrupted: () => done === stop,
      },
    );
    await trainModel({ corpus: [], resume: outDir }, { inspect, sample: () => {} });
    expect(differences(bytesOf(outDir), bytesOf(at('at-once'))), outDir).toEqual([]);
  }
});

test('a run whose steps are submitted ahead is interrupted and resumed', async () => {
  engine.make = makers.atOnce;
  await trainModel({ ...options, outDir: at('waiting') });
  engine.make = makers.delayed;
  const submitWhole = vi.spyOn(Trainer.prototype, 'submitWhole');
  for (const stop of [5, 13, 24]) {
    const outDir = at(`ahead until ${stop}`);
    let done = 0;
    await trainModel(
      { ...options, outDir },
      {
        event: (event) => void (event.type === 'step' && done++),
        interrupted: () => done >= stop && stop < 24,
      },
    );
    expect(done).toBeLessThan(stop + 3);
    if (stop < 24) await trainModel({ corpus: [], resume: outDir });
    expect(differences(bytesOf(outDir), bytesOf(at('waiting'))), outDir).toEqual([]);
  }
  expect(submitWhole.mock.calls.length).toBeGreaterThan(3);
  submitWhole.mockRestore();
});

/** What `use` returns with each kind of device. */
async function onBoth<T>(use: (device: Device) => Promise<T>): Promise<[atOnce: T, delayed: T]> {
  return [await use(makers.atOnce()), await use(makers.delayed())];
}

describe('a trained model', () => {
  const text = 'the whale and the ship';

  test('is fine-tuned', async () => {
    const tuning = { corpus: options.corpus, initFrom: at('at-once'), maxIters: 4, learningRate: 0.01 };
    engine.make = makers.atOnce;
    await trainModel({ ...tuning, outDir: at('tuned at once') });
    engine.make = makers.delayed;
    await trainModel({ ...tuning, outDir: at('tuned') });
    expect(differences(bytesOf(at('tuned')), bytesOf(at('tuned at once')))).toEqual([]);
  });

  test('evaluates and samples through the library', async () => {
    const found: unknown[] = [];
    for (const make of [makers.atOnce, makers.delayed]) {
      engine.make = make;
      await using model = await load(at('at-once'));
      const scored = await evaluate(model, text, { stride: 5 });
      // Two texts at the same time, past the end of the block.
      const texts = ['the ', 'and '].map((prompt, promptIndex) =>
        collect(sample(model, prompt, { maxTokens: 30, seed: 3, promptIndex })),
      );
      found.push({ scored, texts: await Promise.all(texts) });
    }
    expect(found[1]).toEqual(found[0]);
  });

  test('decodes a batch, and searches with beams', async () => {
    const model = openModelFolder(at('at-once'));
    const [atOnce, delayed] = await onBoth(async (device) => {
      const decoder = Decoder.create(device, model.config, (targets) => model.load(targets), 4);
      const batch = new SequenceBatch<number>(decoder, { temperature: 1, topK: 0, topP: 1, seed: 5 });
      const texts: number[][] = [[], [], [], []];
      for (const i of texts.keys()) await batch.add(i, [i + 1, 2, 3], { sample: i });
      while (batch.size > 0) {
        for (const { text: i, id, logits } of batch.draw()) {
          texts[i].push(id, logits[0]);
          if (texts[i].length === 20 + 10 * i) batch.end(i);
        }
        await batch.advance();
      }
      const beams = { beams: 4, maxTokens: 14, lengthPenalty: 1 };
      return { texts, found: await allParts(beamSearch(decoder, [1, 2], beams)) };
    });
    expect(delayed).toEqual(atOnce);
  });

  test('shows its activations', async () => {
    const model = openModelFolder(at('at-once'));
    const [atOnce, delayed] = await onBoth(async (device) => {
      const { residuals, attention, logits } = await readActivations(
        device,
        model.config,
        (targets) => model.load(targets),
        [1, 2, 3, 4],
      );
      return { residuals, attention, logits: (await logits(residuals[1])).slice() };
    });
    expect(delayed).toEqual(atOnce);
  });
});

test('the faulty instruction of a step is found', async () => {
  const config = { ...gpt2Defaults, vocabSize: 9, blockSize: 4, nLayer: 2, nHead: 1, nEmbd: 8, dropout: 0 };
  const batch = { inputs: Int32Array.of(1, 2, 3, 4), targets: Int32Array.of(2, 3, 4, 5) };
  const sgd = { optimizer: 'sgd', weightDecay: 0, momentum: 0, gradClip: 0 } as const;
  const [atOnce, delayed] = await onBoth(async (device) => {
    const programs = trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer: 'sgd' });
    const rules = { ...sgd, beta1: 0, beta2: 0, epsilon: 0 };
    const trainer = new Trainer(device, programs, rules, 1);
    trainer.initialize();
    const faults = [await allParts(trainer.findFault(0, stepOf([batch])))];
    const { write, shape } = trainer.parameters().find(({ name }) => name === 'h.1.mlp.c_fc.weight')!;
    write(Float32Array.from({ length: elements(shape) }, (_, i) => (i % 3 === 0 ? 3e38 : -3e38)));
    faults.push(await allParts(trainer.findFault(0, stepOf([batch]))));
    return faults;
  });
  expect(delayed).toEqual(atOnce);
  expect(delayed[1]).toMatch(/output of .*not finite/);
});

test('every kernel is checked, and a failure is reported by the next read', async () => {
  expect(await checkDevice(new DelayedDevice(), createReferenceBackend('float32'))).toBeUndefined();
  const device = new DelayedDevice();
  device.write(100, Float32Array.of(1)); // beyond the end of memory
  await expect(device.read(0, new Float32Array(0))).rejects.toThrow(RangeError);
});

test('the gradient norm is the same with pairs of float32 as with float64', () => {
  let state = 1;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
  for (const [length, scale] of [
    [1, 1],
    [5, 1e-6],
    [4096, 1e3],
    [100_003, 1e-4],
  ]) {
    const x = Float32Array.from({ length }, () => scale * random() * 10 ** (4 * random()));
    const inFloat64 = Math.fround(Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)));
    expect(normInPairs(x)).toBe(inFloat64);
  }
});
