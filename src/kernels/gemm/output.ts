/** How the micro-kernels store their tiles: with a bias, overwriting C or adding to it. */
import { allocate } from '../scratch';

/** The destination of a tile in C, without its address. */
@unmanaged
export class Output {
  /** Bytes from one row of C to the next. */
  stride: usize;
  /** Address of the bias of the tile's columns, or 0. */
  bias: usize;
  /** Nonzero if the tile is added to C. */
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
