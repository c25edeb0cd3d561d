/**
 * Argument blocks: written by the WebAssembly kernels, read by the host or by machine code. Each thread has its own among the
 * control words (engine/wasm/address-space.ts).
 */

/**
 * The fields of the macro-kernel's block in order, with their AssemblyScript types. Addresses are relative to `base`. A call
 * passes nothing but the address of the block, and takes about 0.1 µs.
 */
export const blockFields = {
  /** Address of the WebAssembly memory in the process; written once, by the host. */
  base: 'u64',
  /** The first panels of packed A and packed B, and the block of C. */
  a: 'usize',
  b: 'usize',
  c: 'usize',
  /** Bias of the first column, or 0. */
  bias: 'usize',
  /** Strides in bytes: from panel to panel of A and of B, and from row to row of C. */
  strideA: 'usize',
  strideB: 'usize',
  strideC: 'usize',
  /** Size of the block of C. */
  rows: 'i32',
  columns: 'i32',
  /** Depth of the panels. */
  k: 'i32',
  /** Nonzero to add the product to C instead of overwriting it. */
  accumulate: 'i32',
} as const;

/** The fields of a product for a BLAS library: C[rows,columns] (+)= op(A)[rows,k]·op(B)[k,columns], each stored row by row. */
export const productFields = {
  /** Addresses in the WebAssembly memory. */
  a: 'usize',
  b: 'usize',
  c: 'usize',
  rows: 'i32',
  columns: 'i32',
  k: 'i32',
  /** Numbers from one row to the next, as stored. */
  strideA: 'i32',
  strideB: 'i32',
  strideC: 'i32',
  /** Nonzero if an operand is stored transposed. */
  transA: 'i32',
  transB: 'i32',
  /** Nonzero to add the product to C instead of overwriting it. */
  accumulate: 'i32',
} as const;

export type BlockField = keyof typeof blockFields;

const sizes = { u64: 8, usize: 4, i32: 4 } as const;

/** Offset of a field in the block, in bytes. */
export function blockOffset(field: BlockField): number {
  let offset = 0;
  for (const [name, type] of Object.entries(blockFields)) {
    if (name === field) return offset;
    offset += sizes[type];
  }
  throw new Error(`the argument block has no field ${field}`);
}
