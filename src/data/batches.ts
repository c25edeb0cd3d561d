/**
 * Training and evaluation batches. All functions are pure: a batch depends only on tokens, shape, seed and step, so
 * resuming needs no state but the step.
 */
import { Philox, Stream } from '../engine/philox.ts';
import { UsageError } from '../errors.ts';
import { formatCountOf } from '../format.ts';
import { optionName } from '../messages.ts';
import type { TokenSource } from './token-source.ts';

/** For each position of a batch [B,T], the start of its document in the row, and its distance from there. */
export interface DocumentRows {
  readonly starts: Int32Array;
  readonly positions: Int32Array;
}

/** Input ids and next-token targets, both [B,T]. A target of −1 is masked and does not count in the loss. */
export interface Batch {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
  /** Where documents begin in the rows, for a model that attends within documents; see document-rows.ts. */
  readonly rows?: DocumentRows;
}

export const countTargets = ({ targets }: Batch): number =>
  targets.reduce((count, target) => count + (target < 0 ? 0 : 1), 0);

/**
 * How training sequences are sampled:
 *
 * - `random`: windows at random positions, with replacement (nanoGPT)
 * - `epochs`: without replacement, in a new random order each epoch; see epochs.ts
 */
export const batchSamplings = ['random', 'epochs'] as const;
export type BatchSampling = (typeof batchSamplings)[number];

/** The data of one training step. */
export interface StepData {
  readonly microBatches: number;
  /** Unmasked targets in all micro-batches of the step. Its loss is the mean over them. */
  readonly counted: number;
  readonly batches: Iterable<Batch>;
}

/** A step of batches in memory. */
export const stepOf = (batches: readonly Batch[]): StepData => ({
  microBatches: batches.length,
  counted: batches.reduce((count, batch) => count + countTargets(batch), 0),
  batches,
});

/** B sequences of T tokens. */
export interface BatchShape {
  readonly B: number;
  readonly T: number;
}

/**
 * The batch of a step: random windows, sampled with replacement as in nanoGPT's `get_batch`. Micro-batches share one random
 * stream, so 4 micro-batches of 3 rows hold the same windows as one batch of 12.
 *
 * @param step from 0, below 2³²
 * @throws UsageError if the source is shorter than T + 1 tokens
 */
export function randomStep(
  source: TokenSource,
  shape: BatchShape,
  { seed, step, microBatches }: { seed: number; step: number; microBatches: number },
): StepData {
  const random = new Philox(seed, step, Stream.batches);
  return stepOfWindows(source, shape, microBatches, () => below(source.length - shape.T, random));
}

/**
 * The batch of a step: windows of T tokens.
 *
 * @param nextStart returns the start of the next window
 * @throws UsageError if the source is shorter than T + 1 tokens
 */
export function stepOfWindows(
  source: TokenSource,
  { B, T }: BatchShape,
  microBatches: number,
  nextStart: () => number,
): StepData {
  checkLength(source, T);
  function* batches(): Generator<Batch> {
    for (let micro = 0; micro < microBatches; micro++)
      yield windows(source, Array.from({ length: B }, nextStart), { B, T });
  }
  if (source.counted !== undefined) return stepOf([...batches()]);
  return { microBatches, counted: microBatches * B * T, batches: batches() };
}

/** A uniform integer in [0, n), n ≤ 2⁵³. Numbers beyond the last whole multiple of n are rejected, as they would favor small results. */
export function below(n: number, random: Philox): number {
  const limit = Math.floor(2 ** 53 / n) * n;
  for (;;) {
    const value = (random.uint32() >>> 11) * 2 ** 32 + random.uint32(); // 53 bits
    if (value < limit) return value % n;
  }
}

/**
 * Batches for evaluating a whole text: windows that contain every token except the first as a target exactly once, in order.
 * Windows start `stride` tokens apart. Targets in the overlap with the previous window are masked, so each target outside the
 * first window has at least T − stride tokens of context. The end of the last window and batch is padded with masked targets.
 *
 * @param stride 1 … T; T gives adjacent windows
 */
export function* wholeBatches(source: TokenSource, { B, T }: BatchShape, stride = T): Generator<Batch> {
  const count = source.length < 2 ? 0 : 1 + Math.ceil(Math.max(0, source.length - 1 - T) / stride);
  for (let first = 0; first < count; first += B) {
    const starts = Array.from({ length: Math.min(B, count - first) }, (_, b) => (first + b) * stride);
    const batch = windows(source, starts, { B, T });
    starts.forEach((start, b) => start > 0 && batch.targets.fill(-1, b * T, b * T + T - stride));
    yield batch;
  }
}

/** A fixed, evenly spaced sample of at most `size` of the adjacent windows that have a counted target. */
export function* sampleBatches(source: TokenSource, { B, T }: BatchShape, size: number): Generator<Batch> {
  const windowAt = countedWindows(source, T);
  const count = windowAt?.length ?? windowCount(source, T);
  const wanted = Math.min(count, size);
  for (let first = 0; first < wanted; first += B) {
    const starts = Array.from({ length: Math.min(B, wanted - first) }, (_, b) => {
      const window = Math.floor(((first + b) * count) / wanted);
      return (windowAt?.[window] ?? window) * T;
    });
    yield windows(source, starts, { B, T });
  }
}

/** Number of adjacent windows of T tokens that cover all targets. */
const windowCount = (source: TokenSource, T: number): number => Math.ceil((source.length - 1) / T);

/** Indices of the adjacent windows with a counted target; undefined if all targets count. */
function countedWindows(source: TokenSource, T: number): number[] | undefined {
  if (source.counted === undefined) return undefined;
  const found: number[] = [];
  for (let window = 0; window < windowCount(source, T); window++) {
    const counted = source.counted(window * T + 1, Math.min(window * T + 1 + T, source.length));
    if (Array.prototype.includes.call(counted, 1)) found.push(window);
  }
  return found;
}

/** @throws UsageError if the source is shorter than T + 1 tokens */
export function checkLength(source: TokenSource, T: number, name = 'the training text'): void {
  if (source.length > T) return;
  throw new UsageError(
    'text-too-short',
    source.length < 2
      ? `${name} has ${formatCountOf(source.length, 'token')}, and at least 2 are needed`
      : `${name} has ${source.length} tokens; a ${optionName('blockSize')} of ${T} needs at least ${T + 1}`,
    {
      hint:
        source.length < 2
          ? 'use a longer text'
          : `use a longer text, or a ${optionName('blockSize')} of at most ${source.length - 1}`,
    },
  );
}

/** One row per start. Rows without a start, tokens beyond the end of the source and those not counted have masked targets. */
function windows(source: TokenSource, starts: readonly number[], { B, T }: BatchShape): Batch {
  const inputs = new Int32Array(B * T);
  const targets = new Int32Array(B * T).fill(-1);
  starts.forEach((start, b) => {
    const end = Math.min(start + T + 1, source.length);
    const ids = source.slice(start, end);
    const counted = source.counted?.(start, end);
    for (let t = 0; t + 1 < ids.length; t++) {
      inputs[b * T + t] = ids[t];
      if (counted?.[t + 1] !== 0) targets[b * T + t] = ids[t + 1];
    }
  });
  return { inputs, targets };
}
