/** Records the optimizer updates: one kernel for all parameters or, for Muon, a few kernels per matrix. */
import { size, type PlacedValue, type Value } from '../autodiff/graph.ts';
import type { Recorder } from '../autodiff/recorder.ts';
import { align } from '../engine/memory.ts';
import { recordMuon } from './muon.ts';

/**
 * Operands of an update: blocks of one layout and of `n` elements, the first `decayed` of which belong to matrices. A moment
 * that only some parameters have is a block of those alone.
 */
interface UpdateValues {
  readonly x: PlacedValue;
  readonly dX: PlacedValue;
  /** In the order of `Optimizer.moments`. */
  readonly moments: readonly PlacedValue[];
  readonly hyper: Value;
  /** [1]: the global gradient norm. */
  readonly norm: Value;
  readonly n: number;
  readonly decayed: number;
}

/** A linear layer's matrix within those blocks. */
export interface MatrixPlace {
  readonly name: string;
  readonly start: number;
  readonly length: number;
  readonly shape: readonly number[];
  /** Stored [out,in]. */
  readonly isTransposed: boolean;
}

/** Records the update of all trained parameters. @param matrices those of linear layers, in the order of the block */
export type RecordUpdate = (t: Recorder, values: UpdateValues, matrices: readonly MatrixPlace[]) => void;

export const recordAdamw: RecordUpdate = (t, { moments: [m, v], ...values }) =>
  t.emit('adamw', { ...values, m, v });

export const recordLion: RecordUpdate = (t, { moments: [m], ...values }) => t.emit('lion', { ...values, m });

export const recordSgd: RecordUpdate = (t, { moments: [m], ...values }) => t.emit('sgd', { ...values, m });

/** Muon for the matrices of linear layers, AdamW for the ranges between them. */
export const recordMuonAndAdamw: RecordUpdate = (t, values, matrices) => {
  const {
    n,
    decayed,
    hyper,
    norm,
    moments: [m, v],
  } = values;
  /** Elements of the matrices so far, for which v has no entries. */
  let skipped = 0;
  const recordOthers = (start: number, end: number): void => {
    if (start >= end) return;
    const part = (block: PlacedValue): PlacedValue => stretch(t, block, start, [end - start]);
    recordAdamw(
      t,
      {
        x: part(values.x),
        dX: part(values.dX),
        moments: [part(m), stretch(t, v, start - skipped, [end - start])],
        hyper,
        norm,
        n: end - start,
        decayed: Math.max(0, Math.min(decayed, end) - start),
      },
      [],
    );
  };
  let end = 0;
  for (const matrix of matrices) {
    recordOthers(end, matrix.start);
    const part = (block: PlacedValue): PlacedValue => stretch(t, block, matrix.start, matrix.shape);
    t.scope(matrix.name, () =>
      recordMuon(t, { ...matrix, x: part(values.x), dX: part(values.dX), m: part(m), hyper, norm }),
    );
    end = matrix.start + align(matrix.length);
    skipped += align(matrix.length);
  }
  recordOthers(end, n);
};

/** Records the update of the parameters' moving average, which comes after their own; see weight-average.ts. */
export const recordAverage = (t: Recorder, x: Value, average: Value, hyper: Value): void =>
  t.emit('movingAverage', { x, average, hyper, n: size(x) });

/** The elements of a block from `start` on, as a value of the given shape. */
function stretch(t: Recorder, block: PlacedValue, start: number, shape: readonly number[]): PlacedValue {
  const { offset, dtype } = block.region;
  return t.external(block.name, shape, { offset: offset + start, length: size({ shape }), dtype });
}
