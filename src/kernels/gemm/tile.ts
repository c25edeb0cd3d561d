/** Tiles of MR×NR of a product, whole or in part: the micro-kernels always compute them whole. */
import { microKernel, microKernelOfRows } from '../generated/micro-kernels';
import { loadPart, putPart } from '../vector';

/**
 * The first `rows` × `columns` of a tile, `rows` ≤ MR and `columns` ≤ NR; the other parameters are the micro-kernel's. What is not
 * whole is computed at `spare`, MR·NR numbers of working memory, and copied.
 * @inline
 */
export function tile(
  k: i32,
  a: usize,
  lda: usize,
  b: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  accumulate: i32,
  rows: i32,
  columns: i32,
  spare: usize,
): void {
  if (rows == MR && columns == NR) microKernel(k, a, lda, b, c, ldc, bias, accumulate);
  else {
    microKernel(k, a, lda, b, spare, NR << 2, 0, 0);
    putTile(spare, c, ldc, bias, accumulate, rows, columns);
  }
}

/** The same for rows of A as they lie. @inline */
export function tileOfRows(
  k: i32,
  a: usize,
  lda: usize,
  rows: i32,
  b: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  accumulate: i32,
  columns: i32,
  spare: usize,
): void {
  if (rows == MR && columns == NR) microKernelOfRows(k, a, lda, rows, b, c, ldc, bias, accumulate);
  else {
    microKernelOfRows(k, a, lda, rows, b, spare, NR << 2, 0, 0);
    putTile(spare, c, ldc, bias, accumulate, rows, columns);
  }
}

/** c (+)= the rows × columns at src + bias. */
function putTile(
  src: usize,
  c: usize,
  ldc: usize,
  bias: usize,
  accumulate: i32,
  rows: i32,
  columns: i32,
): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j += 4) {
      const at = j << 2;
      let v = v128.load(src + at);
      if (bias) v = f32x4.add(v, loadPart(bias + at, columns - j));
      putPart(c + at, v, columns - j, accumulate);
    }
    src += NR << 2;
    c += ldc;
  }
}
