/**
 * Rows of a batch that are divided into documents: tokens attend only within their document, and its positions begin at 0
 * ("intra-document masking", Zhao et al. 2024).
 */
import type { Batch, DocumentRows } from '../batches.ts';

/**
 * Divides rows of ids at the end-of-text token. It is predicted from the document that it ends, and as an input it is the
 * first token of the next one, which attends to it. A row's tokens before its first end token are a document, too.
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
