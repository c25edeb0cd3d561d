/** The look-up of token and position embeddings, and its gradient. */
import { put, type ReferenceArguments } from './view.ts';

export function embedding({ ids, table, out, N, C }: ReferenceArguments<'embedding'>): void {
  for (let n = 0; n < N; n++) for (let c = 0; c < C; c++) out[n * C + c] = table[ids[n] * C + c];
}

export function embeddingBackward({
  ids,
  dOut,
  dTable,
  N,
  C,
  V,
}: ReferenceArguments<'embeddingBackward'>): void {
  if (!dTable.accumulate) dTable.data.fill(0, 0, V * C);
  const sum = { data: dTable.data, accumulate: true };
  for (let n = 0; n < N; n++) for (let c = 0; c < C; c++) put(sum, ids[n] * C + c, dOut[n * C + c]);
}
