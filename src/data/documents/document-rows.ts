/**
 * Rows of a batch that are divided into documents: tokens attend only within their document, and its positions begin at 0
 * ("intra-document masking", Zhao et al. 2024).
 */
import type { Batch, DocumentRows } from '../batches.ts';

/**
 * Divides rows of ids at the token that ends documents. It precedes each document, so it is the first of its tokens:
 * it is predicted from the document before, and attended to by the one after. What a row begins with is a document, too.
 *
 * @param T length of a row
 * @param endId undefined: each row is one document
 */
export function documentRows(inputs: ArrayLike<number>, T: number, endId: number | undefined): DocumentRows {
  const starts = new Int32Array(inputs.length);
  const positions = new Int32Array(inputs.length);
  let start = 0;
  for (let i = 0; i < inputs.length; i++) {
    const t = i % T;
    if (t === 0 || inputs[i] === endId) start = t;
    starts[i] = start;
    positions[i] = t - start;
  }
  return { starts, positions };
}

/** Batches whose rows are divided into documents. */
export function* dividedRows(
  batches: Iterable<Batch>,
  T: number,
  endId: number | undefined,
): Generator<Batch> {
  for (const batch of batches) yield { ...batch, rows: documentRows(batch.inputs, T, endId) };
}
