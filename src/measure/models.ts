/** Training and sampling of models of well-known shapes, on random tokens, to be timed. */
import { costOf } from '../engine/cost.ts';
import type { Backend, Timing } from '../engine/instruction.ts';
import { Decoder } from '../generate/decoder.ts';
import { generate } from '../generate/generate.ts';
import { gpt2Defaults, type ModelConfig } from '../model/config.ts';
import { initialise } from '../model/initialise.ts';
import { trainingPrograms } from '../train/programs.ts';
import { Trainer } from '../train/trainer.ts';

export interface BenchModel {
  readonly config: ModelConfig;
  readonly batchSize: number;
}

const model = (
  [nLayer, nHead, nEmbd]: readonly [number, number, number],
  vocabSize: number,
  blockSize: number,
  batchSize: number,
): BenchModel => ({
  config: { ...gpt2Defaults, nLayer, nHead, nEmbd, vocabSize, blockSize, dropout: 0 },
  batchSize,
});

/** nanoGPT's CPU and GPU configurations on tinyshakespeare's 65 characters, and GPT-2 124M; batches that a laptop bears. */
export const benchModels = {
  nano: model([4, 4, 128], 65, 64, 12),
  baby: model([6, 6, 384], 65, 256, 8),
  gpt2: model([12, 12, 768], 50_257, 256, 1),
} as const satisfies Record<string, BenchModel>;
export type BenchModelName = keyof typeof benchModels;

/** A model that can be trained for some steps at a time. */
export interface TimedTraining {
  readonly tokensPerStep: number;
  /** Floating-point operations of all matrix products of a step. */
  readonly flopsPerStep: number;
  readonly memoryBytes: number;
  /** Trains for some steps; returns how many seconds they took. */
  readonly run: (steps: number) => number;
  /** See Trainer.timings. */
  readonly timings: () => Timing[];
}

/** Lays a model out at the start of the backend's memory and initialises it. */
export function startTraining(backend: Backend, { config, batchSize }: BenchModel): TimedTraining {
  const programs = trainingPrograms({ config, batchSize, microBatches: 1, optimizer: 'adamw' });
  const options = {
    optimizer: 'adamw',
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0.1,
    momentum: 0,
    gradClip: 1,
  } as const;
  const trainer = new Trainer(backend, programs, options, 1);
  const length = batchSize * config.blockSize;
  const random = (): Int32Array =>
    Int32Array.from({ length }, () => Math.floor(Math.random() * config.vocabSize));
  let done = 0;
  return {
    tokensPerStep: length,
    flopsPerStep: programs.forwardBackward.instructions.reduce((sum, each) => sum + costOf(each).flops, 0),
    memoryBytes: 4 * programs.end,
    run(steps) {
      const start = performance.now();
      for (let i = 0; i < steps; i++) trainer.step(done++, [{ inputs: random(), targets: random() }], 1e-3);
      return (performance.now() - start) / 1000;
    },
    timings: () => trainer.timings(),
  };
}

/** A model that can write some tokens at a time. */
export interface TimedSampling {
  /** Bytes of the parameters that are read for each token: all but the embeddings' rows. */
  readonly bytesPerToken: number;
  /** Writes so many tokens after a prompt of one; returns how many seconds that took. */
  readonly run: (tokens: number) => number;
}

/** Lays a model out at the start of the backend's memory and initialises it. */
export function startSampling(backend: Backend, { config }: BenchModel): TimedSampling {
  let elements = 0;
  const decoder = Decoder.create(backend, config, (parameters) => {
    const tensors = new Map(parameters.map(({ name, data }) => [name, data]));
    initialise(config, 1, (name) => tensors.get(name)!);
    elements = parameters.reduce((sum, { data }) => sum + data.length, 0);
  });
  return {
    bytesPerToken: 4 * (elements - config.blockSize * config.nEmbd),
    run(tokens) {
      const options = { maxTokens: tokens, seed: 1, temperature: 1, topK: 0, topP: 1 };
      const start = performance.now();
      for (const id of generate(decoder, [0], options)) if (id < 0) break;
      return (performance.now() - start) / 1000;
    },
  };
}
