import type { ModelFolder } from '../checkpoint/model-folder.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterOf, parameterTable } from '../model/parameters.ts';
import { hostTensor, type NamedTensor } from '../model/tensor.ts';

/**
 * Loads a model's tensors, in the order of its parameter table, into new memory.
 *
 * @param loaded called with the share that has been read, 0 … 1
 */
export function readWeights(folder: ModelFolder, loaded: (done: number) => void = () => {}): NamedTensor[] {
  const tensors = parameterTable(folder.config).map(hostTensor);
  folder.load(tensors, { loaded });
  return tensors;
}

/** The token embedding [V,C] among a model's tensors. */
export function tokenEmbedding(config: ModelConfig, tensors: readonly NamedTensor[]): Float32Array {
  const { name } = parameterOf(config, 'token embedding');
  return tensors.find((tensor) => tensor.name === name)!.data;
}

/** Statistics of one tensor, all of whose values are finite, as loading a model verifies. */
export interface WeightStatistics {
  readonly name: string;
  readonly shape: readonly number[];
  readonly mean: number;
  /** Population standard deviation: √(Σ(x − mean)²/n). */
  readonly std: number;
  readonly min: number;
  readonly max: number;
  /** Share of exact zeros, 0 … 1. */
  readonly zeros: number;
  /** Frobenius norm √Σx². */
  readonly norm: number;
}

/** Two passes in float64, so that a mean far from zero costs no precision. */
export function weightStatistics({ name, shape, data }: NamedTensor): WeightStatistics {
  let [sum, squares, zeros] = [0, 0, 0];
  let [min, max] = [Infinity, -Infinity];
  for (const x of data) {
    sum += x;
    squares += x * x;
    if (x === 0) zeros++;
    if (x < min) min = x;
    if (x > max) max = x;
  }
  const n = data.length;
  const mean = sum / n;
  let deviations = 0;
  for (const x of data) deviations += (x - mean) ** 2;
  return {
    name,
    shape,
    mean,
    std: Math.sqrt(deviations / n),
    min,
    max,
    zeros: zeros / n,
    norm: Math.sqrt(squares),
  };
}
