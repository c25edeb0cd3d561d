/** The loops around the micro-kernel, for operands that are packed already. */
import { microKernel } from '../generated/micro-kernel';

/**
 * c[m,n] (+)= A·B + bias for packed A (panels of MR rows) and B (panels of NR columns), of which the first k columns and
 * rows are used. A panel of B stays in the first-level cache while all panels of A, which stay in the second, pass by it.
 *
 * @param strideA bytes from one panel of A to the next; strideB likewise
 * @param ldc length of a row of C in bytes
 * @param bias 0, or n numbers
 * @param tile MR·NR numbers of working memory for tiles that stick out of C
 */
export function macroKernel(
  a: usize,
  strideA: usize,
  b: usize,
  strideB: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  accumulate: i32,
  m: i32,
  n: i32,
  k: i32,
  tile: usize,
): void {
  for (let j = 0; j < n; j += NR) {
    const pb = b + strideB * (j / NR);
    const pbias = bias ? bias + (usize(j) << 2) : 0;
    let pa = a;
    for (let i = 0; i < m; i += MR) {
      const pc = c + ldc * i + (usize(j) << 2);
      if (i + MR <= m && j + NR <= n) microKernel(k, pa, pb, pc, ldc, pbias, accumulate);
      else edgeTile(k, pa, pb, pc, ldc, pbias, accumulate, min(MR, m - i), min(NR, n - j), tile);
      pa += strideA;
    }
  }
}

/** A tile of which only rows × columns lie in C: computed whole, beside it, and copied in part. */
function edgeTile(
  k: i32,
  a: usize,
  b: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  accumulate: i32,
  rows: i32,
  columns: i32,
  tile: usize,
): void {
  microKernel(k, a, b, tile, NR << 2, 0, 0);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      let value = load<f32>(tile + ((i * NR + j) << 2));
      if (bias) value += load<f32>(bias + (j << 2));
      const at = c + ldc * i + (j << 2);
      store<f32>(at, accumulate ? load<f32>(at) + value : value);
    }
}
