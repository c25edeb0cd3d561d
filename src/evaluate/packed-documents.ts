/** Packs documents into rows, one after another; tokens attend only within their document, as if it were alone. */
import type { Batch, BatchShape } from '../data/batches.ts';
import type { TokenIds } from '../data/tokenize.ts';

/** A stretch of a document that fits in a row: its inputs are tokens `start` to `end` − 1, its targets those after them. */
interface Segment {
  readonly start: number;
  readonly end: number;
  /** Targets that an earlier segment of the document has predicted. */
  readonly repeated: number;
}

/**
 * Segments of a document, as the windows of `wholeBatches` (data/batches.ts): each token except the first is a target once, with
 * at least T − stride tokens of the document before it, unless it has fewer.
 */
function* segmentsOf(length: number, T: number, stride: number): Generator<Segment> {
  const targets = length - 1;
  const count = targets < 1 ? 0 : 1 + Math.ceil(Math.max(0, targets - T) / stride);
  for (let i = 0; i < count; i++) {
    const start = i * stride;
    yield { start, end: Math.min(start + T, targets), repeated: i === 0 ? 0 : T - stride };
  }
}

/** Batches [B,T] of all documents, in order. @param stride 1 … T */
export function* packedDocuments(
  documents: Iterable<TokenIds>,
  { B, T }: BatchShape,
  stride = T,
): Generator<Batch> {
  let batch = emptyBatch({ B, T });
  let [row, t] = [0, 0];
  for (const ids of documents)
    for (const segment of segmentsOf(ids.length, T, stride)) {
      if (t + segment.end - segment.start > T) [row, t] = [row + 1, 0];
      if (row === B) {
        yield batch;
        batch = emptyBatch({ B, T });
        row = 0;
      }
      place(batch, ids, segment, row * T + t, t);
      t += segment.end - segment.start;
    }
  if (row > 0 || t > 0) yield batch;
}

/** Unused positions are documents of one token, which do not count. */
const emptyBatch = ({ B, T }: BatchShape): Required<Batch> => ({
  inputs: new Int32Array(B * T),
  targets: new Int32Array(B * T).fill(-1),
  rows: { starts: Int32Array.from({ length: B * T }, (_, i) => i % T), positions: new Int32Array(B * T) },
});

/** @param at index in the batch; `t` in its row */
function place(
  { inputs, targets, rows }: Required<Batch>,
  ids: TokenIds,
  { start, end, repeated }: Segment,
  at: number,
  t: number,
): void {
  for (let i = 0; i < end - start; i++) {
    inputs[at + i] = ids[start + i];
    rows.starts[at + i] = t;
    rows.positions[at + i] = i;
    if (i >= repeated) targets[at + i] = ids[start + i + 1];
  }
}
