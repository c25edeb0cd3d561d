/**
 * Training windows without replacement. An epoch cuts the text into adjacent windows, starting at a random offset, and visits
 * them in random order; the next one has another offset and another order. The text is read evenly, and windows still start
 * anywhere in it, as random ones do.
 *
 * Where sequence n of a run starts is a pure function of the text's length, the seed and n. Resuming needs no state but n;
 * batch size and gradient accumulation only group the sequences, and each of several processes can take a share of them.
 */
import { Philox, Stream } from '../engine/philox.ts';
import { below, stepOfWindows, type BatchShape, type StepData } from './batches.ts';
import { permuted } from './permutation.ts';
import type { TokenSource } from './token-source.ts';

/**
 * A step of consecutive sequences, in which every target counts.
 *
 * @param first the index of its first sequence: how many the run has taken before
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

/** Where the window of sequence `n` starts in a text of `length` tokens. */
function windowStart(length: number, T: number, seed: number, n: number): number {
  const count = windowsPerEpoch(length, T);
  const epoch = Math.floor(n / count);
  const lastOffset = length - 1 - count * T;
  const offset = below(lastOffset + 1, new Philox(seed, epoch, Stream.epochs));
  return offset + T * permuted(n - epoch * count, count, seed, epoch);
}

/**
 * One window fewer than would fit, so that the offset has more than T values whatever the length. Between T and 2T tokens,
 * before the first window and after the last, are not in the epoch: as with random windows, the ends are read less often. A
 * text of less than two windows has one, at a random position.
 */
export const windowsPerEpoch = (length: number, T: number): number =>
  Math.max(1, Math.floor((length - 1) / T) - 1);
