/** How the micro-kernels store their tiles: with the bias, overwriting C or adding to it. */
import { allocate } from '../scratch';

/** The part of C that a tile is stored to, besides its address. */
@unmanaged
export class Output {
  /** Bytes from one row of C to the next. */
  stride: usize;
  /** Address of the bias of the tile's columns, or 0. */
  bias: usize;
  /** Whether the tile is added to C. */
  accumulate: i32;
  /** Rows and columns of the tile that are part of C: at most MR and NR. */
  rows: i32;
  columns: i32;
}

/** An output in scratch memory, without bias, for whole tiles. */
export function createOutput(stride: usize): Output {
  const out = changetype<Output>(allocate(offsetof<Output>()));
  out.stride = stride;
  out.bias = 0;
  out.accumulate = 0;
  return out;
}

/** Stores a row of a tile, 16 columns. Vectors in pairs, see ../elementwise.ts. @inline */
export function storeRow4(c: usize, out: Output, v0: v128, v1: v128, v2: v128, v3: v128): void {
  const bias = out.bias;
  if (bias) {
    v0 = f32x4.add(v0, v128.load(bias));
    v1 = f32x4.add(v1, v128.load(bias, 16));
    v2 = f32x4.add(v2, v128.load(bias, 32));
    v3 = f32x4.add(v3, v128.load(bias, 48));
  }
  if (out.accumulate) {
    v0 = f32x4.add(v128.load(c), v0);
    v1 = f32x4.add(v128.load(c, 16), v1);
    v2 = f32x4.add(v128.load(c, 32), v2);
    v3 = f32x4.add(v128.load(c, 48), v3);
  }
  v128.store(c, v1, 16);
  v128.store(c, v0);
  v128.store(c, v3, 48);
  v128.store(c, v2, 32);
}

/** The same for 8 columns. @inline */
export function storeRow2(c: usize, out: Output, v0: v128, v1: v128): void {
  const bias = out.bias;
  if (bias) {
    v0 = f32x4.add(v0, v128.load(bias));
    v1 = f32x4.add(v1, v128.load(bias, 16));
  }
  if (out.accumulate) {
    v0 = f32x4.add(v128.load(c), v0);
    v1 = f32x4.add(v128.load(c, 16), v1);
  }
  v128.store(c, v1, 16);
  v128.store(c, v0);
}
