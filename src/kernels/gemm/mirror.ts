/** Copies the lower triangle of a matrix to the upper one, transposed. */
import { thread, threads } from '../threads';
import { transpose8, transposeAny } from './transpose';

/** Rows in a block that is transposed at once. */
const ROWS = 8;

/** c [M,M]; the threads take blocks of rows in turn. */
export function mirrorLower(c: usize, M: i32): void {
  const ld = usize(M) << 2;
  for (let first = thread * ROWS; first < M; first += threads * ROWS) {
    const rows = min(ROWS, M - first);
    const src = c + ld * first;
    const dst = c + (usize(first) << 2);
    if (rows == ROWS) transpose8(dst, ld, src, ld, first);
    else transposeAny(dst, ld, src, ld, rows, first);
    for (let i = 1; i < rows; i++)
      for (let j = 0; j < i; j++) {
        const mirrored = load<f32>(src + ld * i + (usize(first + j) << 2));
        store<f32>(dst + ld * (first + j) + (usize(i) << 2), mirrored);
      }
  }
}
