/**
 * Adapts the output head to programs that sample from the whole vocabulary, while gpt never generates `<unk>` or the
 * padding of an embedding. The row of such a token becomes the mean of all other rows, so its logit is the mean of theirs.
 * That is below the largest logit for any hidden state, so greedy decoding never picks it; and its probability is the
 * geometric mean of theirs, below 1/V, and far below where the model is confident.
 */

/**
 * @param head [V,C]; changed in place
 * @param banned ids, not all of them
 */
export function suppressRows(head: Float32Array, V: number, banned: ReadonlySet<number>): void {
  const C = head.length / V;
  const sums = new Float64Array(C);
  for (let id = 0; id < V; id++) if (!banned.has(id)) for (let c = 0; c < C; c++) sums[c] += head[id * C + c];
  const mean = Float32Array.from(sums, (sum) => sum / (V - banned.size));
  for (const id of banned) head.set(mean, id * C);
}
