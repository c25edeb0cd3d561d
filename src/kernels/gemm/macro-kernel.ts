/** The loops around a tile, for packed operands. */
import { MR, NR } from '../generated/constants';
import { nativeMacroKernel, usesNative } from './native';
import { panelStride } from './pack';
import { Block, Product } from './product';
import { tile } from './tile';

/**
 * Adds A·B to a block of C, for packed A (panels of MR rows) and B (panels of NR columns). A panel of B stays in L1 while it
 * is multiplied with all panels of A, which stay in L2. The first block of k also applies the bias, and overwrites C unless
 * the product accumulates.
 */
export function macroKernel(product: Product, block: Block, a: usize, b: usize): void {
  const k = block.k;
  const rows = block.rows;
  const columns = block.columns;
  const strideA = panelStride(MR, k);
  const strideB = panelStride(NR, k);
  const out = product.output;
  const ldc = out.stride;
  const isFirst = block.p == product.firstK;
  const bias = isFirst && product.bias ? product.bias + (usize(block.column) << 2) : 0;
  const c = product.c + ldc * block.row + (usize(block.column) << 2);
  out.accumulate = isFirst ? product.accumulate : 1;
  // The machine code always computes whole blocks; a symmetric product needs only half of each.
  if (usesNative() && !product.isLower) {
    nativeMacroKernel(block, out, a, b, c, bias);
    return;
  }
  for (let j = 0; j < columns; j += NR) {
    const panelB = b + strideB * (j / NR);
    out.bias = bias ? bias + (usize(j) << 2) : 0;
    out.columns = min(NR, columns - j);
    // Row of the first tile that reaches the diagonal; earlier tiles are entirely above it.
    const above = product.isLower ? max(0, block.column + j - block.row) / MR : 0;
    let panelA = a + strideA * above;
    for (let i = above * MR; i < rows; i += MR) {
      out.rows = min(MR, rows - i);
      tile(k, panelA, MR << 2, panelB, c + ldc * i + (usize(j) << 2), out);
      panelA += strideA;
    }
  }
}
