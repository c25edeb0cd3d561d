/** Calls the GEMM macro-kernel in machine code (engine/native/), if it is in use. */
import { NativeBlock } from '../generated/arguments';
import { CACHE_LINE, MAY_USE_NATIVE, MR, NATIVE_BLOCKS, NR, USE_NATIVE } from '../generated/constants';
import { multiplyPanels } from '../host';
import { poolIndex } from '../threads';
import { Output } from './output';
import { panelStride } from './pack';
import { Block } from './product';

/** True once the host has loaded the machine code in this thread. */
let isLoaded: bool = false;

/** Called by the host once `host.multiplyPanels` works in this thread. */
export function nativeLoaded(): void {
  isLoaded = true;
}

/** @inline */
export function usesNative(): bool {
  return MAY_USE_NATIVE != 0 && isLoaded && load<i32>(USE_NATIVE) != 0;
}

/** Computes the block of C at `c`; `bias` is 0 or the address of its first column's bias. See macro-kernel.ts. */
export function nativeMacroKernel(
  block: Block,
  out: Output,
  a: usize,
  b: usize,
  c: usize,
  bias: usize,
): void {
  const args = changetype<NativeBlock>(NATIVE_BLOCKS + usize(poolIndex) * 2 * CACHE_LINE);
  args.a = a;
  args.b = b;
  args.c = c;
  args.bias = bias;
  args.strideA = panelStride(MR, block.k);
  args.strideB = panelStride(NR, block.k);
  args.strideC = out.stride;
  args.rows = block.rows;
  args.columns = block.columns;
  args.k = block.k;
  args.accumulate = out.accumulate;
  multiplyPanels(poolIndex);
}
