/** The loops around a tile, for operands that are packed already. */
import { tile } from './tile';

/**
 * c[m,n] (+)= A·B + bias for packed A (panels of MR rows) and B (panels of NR columns), of which the first k columns and
 * rows are used. A panel of B stays in the first-level cache while all panels of A, which stay in the second, pass by it.
 *
 * @param strideA bytes from one panel of A to the next; strideB likewise
 * @param ldc length of a row of C in bytes
 * @param bias 0, or n numbers
 * @param spare MR·NR numbers of working memory for tiles that stick out of C
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
  spare: usize,
): void {
  for (let j = 0; j < n; j += NR) {
    const pb = b + strideB * (j / NR);
    const pbias = bias ? bias + (usize(j) << 2) : 0;
    let pa = a;
    for (let i = 0; i < m; i += MR) {
      const pc = c + ldc * i + (usize(j) << 2);
      tile(k, pa, MR << 2, pb, pc, ldc, pbias, accumulate, min(MR, m - i), min(NR, n - j), spare);
      pa += strideA;
    }
  }
}
