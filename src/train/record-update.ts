/** Records the optimizer updates: one kernel for all parameters or, for Muon, a few kernels per matrix. */
import { size, type PlacedValue, type Value } from '../autodiff/graph.ts';
import type { Recorder } from '../autodiff/recorder.ts';
import type { Matrix, MuonScale } from './muon.ts';
import { recordMatrices } from './muon-strands.ts';

/**
 * Operands of an update: blocks of one layout, whose first `decayed` elements belong to matrices. A moment that only some
 * parameters have is a block of those alone.
 */
interface UpdateValues {
  readonly x: PlacedValue;
  readonly dX: PlacedValue;
  /** In the order of `Optimizer.moments`. */
  readonly moments: readonly PlacedValue[];
  readonly hyper: Value;
  /** [1]: the global gradient norm. */
  readonly norm: Value;
  readonly decayed: number;
  readonly muonScale: MuonScale;
}

/** A linear layer's matrix within those blocks. */
export interface MatrixPlace {
  readonly name: string;
  readonly start: number;
  /** Elements with the padding after it. */
  readonly paddedLength: number;
  readonly shape: readonly number[];
  /** Stored [out,in]. */
  readonly isTransposed: boolean;
}

/** Elements of the block from `start` to `end` − 1. A matrix of a linear layer is in a range as a whole or not at all. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Records the update of trained parameters.
 *
 * @param matrices those of linear layers, in the order of the block
 * @param ranges those to update
 */
export type RecordUpdate = (
  t: Recorder,
  values: UpdateValues,
  matrices: readonly MatrixPlace[],
  ranges: readonly Range[],
) => void;

export const recordAdamw: RecordUpdate = (t, values, _, ranges) => {
  for (const range of ranges) {
    const { moments, ...part } = partOf(t, values, range);
    const [m, v] = moments;
    t.emit('adamw', { ...part, m, v });
  }
};

export const recordLion: RecordUpdate = (t, values, _, ranges) => {
  for (const range of ranges) {
    const { moments, ...part } = partOf(t, values, range);
    t.emit('lion', { ...part, m: moments[0] });
  }
};

export const recordSgd: RecordUpdate = (t, values, _, ranges) => {
  for (const range of ranges) {
    const { moments, ...part } = partOf(t, values, range);
    t.emit('sgd', { ...part, m: moments[0] });
  }
};

/** Muon for the matrices of linear layers, AdamW for the ranges between them. */
export const recordMuonAndAdamw: RecordUpdate = (t, values, matrices, ranges) => {
  const {
    hyper,
    norm,
    moments: [m, v],
    muonScale,
  } = values;
  /** Updates elements `start` to `end` − 1. @param skipped elements of the matrices before them, for which v has no entries */
  const recordOthers = (start: number, end: number, skipped: number): void => {
    if (start >= end) return;
    const { moments, ...part } = partOf(t, { ...values, moments: [m] }, { start, end });
    t.emit('adamw', { ...part, m: moments[0], v: slice(t, v, start - skipped, [end - start]) });
  };
  const updated: Matrix[] = [];
  for (const range of ranges) {
    let skipped = 0;
    let end = range.start;
    for (const matrix of matrices) {
      if (matrix.start >= range.end) break;
      if (matrix.start >= range.start) {
        recordOthers(end, matrix.start, skipped);
        const part = (block: PlacedValue): PlacedValue => slice(t, block, matrix.start, matrix.shape);
        updated.push({ ...matrix, x: part(values.x), dX: part(values.dX), m: part(m), hyper, norm });
        end = matrix.start + matrix.paddedLength;
      }
      skipped += matrix.paddedLength;
    }
    recordOthers(end, range.end, skipped);
  }
  recordMatrices(t, updated, muonScale);
};

/**
 * Records the update of the parameters' moving average, which comes after their own; see weight-average.ts.
 *
 * @param range the one to update
 */
export function recordAverage(
  t: Recorder,
  { x, average, hyper }: { readonly x: PlacedValue; readonly average: PlacedValue; readonly hyper: Value },
  { start, end }: Range,
): void {
  const part = (block: PlacedValue): PlacedValue => slice(t, block, start, [end - start]);
  t.emit('movingAverage', { x: part(x), average: part(average), hyper, n: end - start });
}

/** The operands of a range. */
function partOf(
  t: Recorder,
  values: UpdateValues,
  { start, end }: Range,
): UpdateValues & { readonly n: number } {
  const n = end - start;
  const part = (block: PlacedValue): PlacedValue => slice(t, block, start, [n]);
  return {
    ...values,
    x: part(values.x),
    dX: part(values.dX),
    moments: values.moments.map(part),
    n,
    decayed: Math.max(0, Math.min(values.decayed, end) - start),
  };
}

/** The elements of a block from `start` on, as a value of the given shape. */
function slice(t: Recorder, block: PlacedValue, start: number, shape: readonly number[]): PlacedValue {
  const { offset, dtype } = block.region;
  return t.external(block.name, shape, { offset: offset + start, length: size({ shape }), dtype });
}
