/** The token embedding as a vector space: nearest neighbors. */
import { indicesOfLargest } from '../largest.ts';

/** V rows of C channels: `wte`. */
export interface Embeddings {
  readonly rows: Float32Array;
  readonly C: number;
}

export interface Neighbor {
  readonly id: number;
  /** Cosine similarity, −1 … 1. */
  readonly cosine: number;
}

/** The k tokens with the highest cosine similarity to `id`, excluding it. */
export function nearest({ rows, C }: Embeddings, id: number, k: number): Neighbor[] {
  const V = rows.length / C;
  const own = rows.subarray(id * C, (id + 1) * C);
  const cosines = new Float64Array(V);
  for (let other = 0; other < V; other++)
    cosines[other] = other === id ? NaN : cosine(own, rows.subarray(other * C, (other + 1) * C));
  return indicesOfLargest(cosines, k).map((neighbor) => ({ id: neighbor, cosine: cosines[neighbor] }));
}

/** a·b/(|a||b|); 0 if one of them is zero. */
function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
