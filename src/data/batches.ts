/**
 * Which tokens the model sees, and when. Every function here is pure: a batch is fixed by the tokens, the shape, the seed
 * and the number of the step, so a resumed run needs the step's number and nothing else to go on.
 */
import { Philox, Stream } from '../engine/philox.ts';
import { UsageError } from '../errors.ts';
import type { TokenSource } from './token-source.ts';

/** B·T token ids and the ids that follow them; a target of −1 is masked: it counts for no loss. */
export interface Batch {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}

/** How many targets of a batch count. */
export const countTargets = ({ targets }: Batch): number =>
  targets.reduce((count, target) => count + (target < 0 ? 0 : 1), 0);

/** The data of one training step. */
export interface StepData {
  readonly microBatches: number;
  /** Targets of the whole step that count. The loss of a step is the mean over them, whatever micro-batch they are in. */
  readonly counted: number;
  readonly batches: Iterable<Batch>;
}

/** A step of batches that are all at hand. */
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

/** A training step of `randomBatches`, in which every target counts. */
export function randomStep(
  source: TokenSource,
  shape: BatchShape,
  { seed, step, microBatches }: { seed: number; step: number; microBatches: number },
): StepData {
  const batches = randomBatches(source, shape, { seed, step, microBatches });
  return { microBatches, counted: microBatches * shape.B * shape.T, batches };
}

/**
 * The micro-batches of one training step: windows that start anywhere in the text, drawn with replacement, as nanoGPT's
 * `get_batch` does. They are drawn one after the other, as they are asked for, so 4 micro-batches of 3 hold the windows of one batch of 12.
 *
 * @param step counted from 0; below 2³²
 */
export function* randomBatches(
  source: TokenSource,
  { B, T }: BatchShape,
  { seed, step, microBatches = 1 }: { seed: number; step: number; microBatches?: number },
): Generator<Batch> {
  checkLength(source, T);
  const random = new Philox(seed, step, Stream.batches);
  for (let micro = 0; micro < microBatches; micro++) {
    const starts = Array.from({ length: B }, () => below(source.length - T, random));
    yield windows(source, starts, { B, T });
  }
}

/** A whole number in [0, n), every one equally likely; n may pass 2³², as the tokens of a large file do. */
function below(n: number, random: Philox): number {
  const limit = Math.floor(2 ** 53 / n) * n;
  for (;;) {
    const value = (random.uint32() >>> 11) * 2 ** 32 + random.uint32(); // 53 bits
    if (value < limit) return value % n;
  }
}

/**
 * Every token but the first, which has no context, as a target exactly once and in the order of the text. Windows start
 * `stride` tokens after one another; where they overlap, the later one only reads, so that each target but those of the
 * first window has at least T − stride tokens of context. The last window and the last batch are filled up with masked
 * targets.
 *
 * @param stride 1 … T; T: windows side by side
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

/** A fixed sample of up to `size` of `wholeBatches`'s windows, evenly spread. */
export function* sampleBatches(source: TokenSource, { B, T }: BatchShape, size: number): Generator<Batch> {
  const count = windowCount(source, T);
  const wanted = Math.min(count, size);
  for (let first = 0; first < wanted; first += B) {
    const starts = Array.from(
      { length: Math.min(B, wanted - first) },
      (_, b) => Math.floor(((first + b) * count) / wanted) * T,
    );
    yield windows(source, starts, { B, T });
  }
}

/** How many windows of T tokens it takes to have every token but the first as a target. */
const windowCount = (source: TokenSource, T: number): number => Math.ceil((source.length - 1) / T);

/** Throws UsageError unless a window of T tokens and the token after it fit into the source. */
export function checkLength(source: TokenSource, T: number, name = 'the training text'): void {
  if (source.length > T) return;
  throw new UsageError(
    'text-too-short',
    `${name} has ${source.length} tokens; a --block-size of ${T} needs at least ${T + 1}`,
    {
      hint:
        source.length < 2
          ? 'use a longer text'
          : `use a longer text, or a --block-size of at most ${source.length - 1}`,
    },
  );
}

/** The windows at `starts`, in rows; rows beyond them, and tokens beyond the end of the source, have masked targets. */
function windows(source: TokenSource, starts: readonly number[], { B, T }: BatchShape): Batch {
  const inputs = new Int32Array(B * T);
  const targets = new Int32Array(B * T).fill(-1);
  starts.forEach((start, b) => {
    const ids = source.slice(start, Math.min(start + T + 1, source.length));
    for (let t = 0; t + 1 < ids.length; t++) {
      inputs[b * T + t] = ids[t];
      targets[b * T + t] = ids[t + 1];
    }
  });
  return { inputs, targets };
}
