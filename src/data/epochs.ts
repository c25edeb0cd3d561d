/**
 * Training windows sampled without replacement. An epoch divides the text into adjacent windows, starting at a random offset,
 * and visits them in random order; every epoch has its own offset and order. The text is covered evenly, yet windows may start
 * anywhere, as with random sampling.
 *
 * The start of sequence n is a pure function of the text's length, the seed and n. Resuming needs no state but n; batch size
 * and gradient accumulation only group the sequences, which can also be divided among processes.
 */
import { Philox, Stream } from '../engine/philox.ts';
import { below, stepOfWindows, type BatchShape, type StepData } from './batches.ts';
import { permuted } from './permutation.ts';
import type { TokenSource } from './token-source.ts';

/**
 * The batch of a step: consecutive sequences without masked targets.
 *
 * @param first index of the first sequence: the number of sequences in earlier steps
 * @throws UsageError if the source is shorter than T + 1 tokens
 */
export function epochStep(
  source: TokenSource,
  shape: BatchShape,
  { seed, first, microBatches }: { seed: number; first: number; microBatches: number },
): StepData {
  let n = first;
  return stepOfWindows(source, shape, microBatches, () => windowStart(source.length, shape.T, seed, n++));
}

/** Start of the window of sequence `n` in a text of `length` tokens. */
function windowStart(length: number, T: number, seed: number, n: number): number {
  const count = windowsPerEpoch(length, T);
  const epoch = Math.floor(n / count);
  const lastOffset = length - 1 - count * T;
  const offset = below(lastOffset + 1, new Philox(seed, epoch, Stream.epochs));
  return offset + T * permuted(n - epoch * count, count, seed, epoch);
}

/**
 * One fewer than would fit, so that the offset has more than T values for any length. The T to 2T tokens before the first and
 * after the last window are not in the epoch: as with random windows, the ends of the text are sampled less often. A text
 * shorter than two windows has a single one, at a random position.
 */
export const windowsPerEpoch = (length: number, T: number): number =>
  Math.max(1, Math.floor((length - 1) / T) - 1);
