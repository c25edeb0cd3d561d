/** MR×NR tiles of C. The micro-kernels compute whole tiles; a tile that extends beyond C is computed in scratch memory and copied. */
import { MR, NR } from '../generated/constants';
import { microKernel, microKernelOfRows } from '../generated/micro-kernels';
import { allocate } from '../scratch';
import { loadPart, putPart } from '../vector';
import { createOutput, Output } from './output';

/** Bytes of a row of the tile in scratch memory. */
const ROW: usize = NR << 2;

/** Scratch memory in which tiles that extend beyond C are computed. */
let aside: Output = changetype<Output>(0);
let asideTile: usize = 0;

/** Allocates this thread's memory for such tiles; a kernel calls it before `tile` and `tileOfRows`. */
export function prepareTiles(): void {
  aside = createOutput(ROW);
  asideTile = allocate(ROW * MR);
}

/** The first `out.rows` × `out.columns` of a tile; parameters of `microKernel`. @inline */
export function tile(k: i32, a: usize, lda: usize, b: usize, c: usize, out: Output): void {
  if (out.rows == MR && out.columns == NR) microKernel(k, a, lda, b, c, out);
  else {
    microKernel(k, a, lda, b, asideTile, aside);
    copyTile(c, out);
  }
}

/** `tile` with `microKernelOfRows`. @inline */
export function tileOfRows(k: i32, a: usize, lda: usize, b: usize, c: usize, out: Output): void {
  if (out.rows == MR && out.columns == NR) microKernelOfRows(k, a, lda, b, c, out);
  else {
    aside.rows = out.rows;
    microKernelOfRows(k, a, lda, b, asideTile, aside);
    copyTile(c, out);
  }
}

/** Copies the part that belongs to C, with bias and accumulation. */
function copyTile(c: usize, out: Output): void {
  const rows = out.rows;
  const columns = out.columns;
  const bias = out.bias;
  const accumulate = out.accumulate;
  let source = asideTile;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j += 4) {
      const at = j << 2;
      let v = v128.load(source + at);
      if (bias) v = f32x4.add(v, loadPart(bias + at, columns - j));
      putPart(c + at, v, columns - j, accumulate);
    }
    source += ROW;
    c += out.stride;
  }
}
