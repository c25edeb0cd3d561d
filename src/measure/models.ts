/** Models of well-known shapes for timing, and sampling from them. */
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import type { DecidingWork } from '../engine/backend.ts';
import type { Device } from '../engine/device.ts';
import { bytesOf } from '../engine/memory.ts';
import { Decoder } from '../generate/decoder.ts';
import { generate } from '../generate/generate.ts';
import { toBfloat16 } from '../half-precision.ts';
import { gpt2Defaults } from '../model/architectures/gpt2.ts';
import { initialize } from '../model/initialize.ts';
import { elements, isLookedUp, parameterTable } from '../model/parameters.ts';
import type { ModelConfig } from '../model/config.ts';
import { isLinearWeight, isWeightMatrix } from '../model/parameter.ts';
import type { StorageOf } from '../model/placement.ts';
import { halfTargetOf, type TensorTarget } from '../model/tensor.ts';
import type { TimedModel } from '../train/timed-training.ts';

const model = (
  [nLayer, nHead, nEmbd]: readonly [number, number, number],
  vocabSize: number,
  blockSize: number,
  batchSize: number,
): TimedModel => ({
  config: { ...gpt2Defaults, nLayer, nHead, nEmbd, vocabSize, blockSize, dropout: 0 },
  batchSize,
  optimizer: 'adamw',
});

/**
 * nanoGPT's CPU and GPU configurations with tinyshakespeare's 65 characters, and GPT-2 124M, with batches that fit a
 * laptop.
 */
export const benchModels = {
  nano: model([4, 4, 128], 65, 64, 12),
  baby: model([6, 6, 384], 65, 256, 8),
  gpt2: model([12, 12, 768], 50_257, 256, 1),
} as const satisfies Record<string, TimedModel>;
export type BenchModelName = keyof typeof benchModels;

/** A model whose decoding can be timed. */
export interface TimedSampling {
  /** Bytes of weights read per token: all parameters except embeddings, of which a token needs one row. */
  readonly bytesPerToken: number;
  /** Samples a number of tokens after a prompt of one; resolves to the time in seconds. */
  readonly run: (tokens: number) => Promise<number>;
}

/**
 * Allocates and initializes a model at the start of the device's memory.
 *
 * @param storage of its matrices
 */
export function startSampling(
  device: Device,
  { config }: Pick<TimedModel, 'config'>,
  storage: 'f32' | 'bf16' = 'f32',
): TimedSampling {
  const storageOf: StorageOf = (parameter) => (isWeightMatrix(parameter) ? storage : 'f32');
  const load = (targets: readonly TensorTarget[]): void => initialize(config, 1, targets.map(rounding));
  const decoder = Decoder.create(device, config, load, 1, storageOf);
  return {
    bytesPerToken: parameterTable(config)
      .filter((parameter) => !isLookedUp(parameter, config))
      .reduce((bytes, parameter) => bytes + bytesOf(elements(parameter.shape), storageOf(parameter)), 0),
    async run(tokens) {
      const options = { maxTokens: tokens, seed: 1, temperature: 1, topK: 0, topP: 1 };
      const start = performance.now();
      for await (const id of generate(decoder, [0], options)) if (id < 0) break;
      return (performance.now() - start) / 1000;
    },
  };
}

/** A target for float32, which are rounded if the tensor is stored in bfloat16. */
function rounding(target: TensorTarget): TensorTarget {
  const half = halfTargetOf(target);
  if (half === undefined) return target;
  const write = (numbers: Float32Array, start = 0): void => half.write(toBfloat16(numbers), start);
  return { name: target.name, shape: target.shape, write };
}

/** Token counts of `generationSeconds`: prompt and decoded. */
function generatedTokens({ blockSize }: ModelConfig): { readonly prompt: number; readonly decoded: number } {
  const prompt = Math.min(32, Math.ceil(blockSize / 2));
  return { prompt, decoded: Math.min(8, blockSize - prompt) };
}

/** The generation by which `auto` chooses the device. @param seconds for each measurement, which times at least one text */
export const generation = (
  timed: Pick<ModelFolder, 'config' | 'storageOf'>,
  seconds: number,
): DecidingWork => ({
  name: 'a short text',
  measure: (device) => generationSeconds(device, timed, seconds),
  predict({ gemmFlops, readBandwidth }) {
    const { prompt, decoded } = generatedTokens(timed.config);
    const weights = parameterTable(timed.config).filter(isLinearWeight);
    const flops = weights.reduce((sum, { shape }) => sum + 2 * elements(shape), 0);
    const bytes = weights.reduce(
      (sum, each) => sum + bytesOf(elements(each.shape), timed.storageOf(each)),
      0,
    );
    return (prompt * flops) / gemmFlops + (decoded * bytes) / readBandwidth;
  },
});

/**
 * Seconds for the prefill of a prompt and a few decode steps with uninitialized weights, a device's generation speed: the
 * fastest of several tries, after a warm-up in which kernels are compiled.
 *
 * @param device its memory must be unused; it is cleared afterwards
 */
export async function generationSeconds(
  device: Device,
  { config, storageOf }: Pick<ModelFolder, 'config' | 'storageOf'>,
  seconds: number,
): Promise<number> {
  try {
    const decoder = Decoder.create(device, config, () => {}, 1, storageOf);
    const { prompt: length, decoded } = generatedTokens(config);
    const prompt = Array.from({ length }, () => 0);
    const timed = async (): Promise<number> => {
      const start = performance.now();
      decoder.reset();
      await decoder.read(prompt);
      for (let i = 0; i < decoded; i++) await decoder.read([0]);
      return performance.now() - start;
    };
    await timed();
    let shortest = Infinity;
    const until = performance.now() + 1000 * seconds;
    do shortest = Math.min(shortest, await timed());
    while (performance.now() < until);
    return shortest / 1000;
  } finally {
    device.clear();
  }
}
