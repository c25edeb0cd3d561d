/**
 * The argument block of the macro-kernel: where the WebAssembly kernels write what the machine code reads. Every thread has one
 * in the control words (engine/wasm/address-space.ts). A call passes one pointer and takes about 0.1 µs.
 */

/** The fields in order, with the types that they have in AssemblyScript. Addresses are relative to `base`. */
export const blockFields = {
  /** Address of the WebAssembly memory in the process; written once, by the host. */
  base: 'u64',
  /** The first panel of packed A, and of packed B, and the block of C. */
  a: 'usize',
  b: 'usize',
  c: 'usize',
  /** Bias of the first column, or 0. */
  bias: 'usize',
  /** Bytes from one panel of A, or of B, to the next, and from one row of C to the next. */
  strideA: 'usize',
  strideB: 'usize',
  strideC: 'usize',
  /** Size of the block of C. */
  rows: 'i32',
  columns: 'i32',
  /** Depth of the panels. */
  k: 'i32',
  /** Whether the product is added to C. */
  accumulate: 'i32',
} as const;

export type BlockField = keyof typeof blockFields;

const sizes = { u64: 8, usize: 4, i32: 4 } as const;

/** Where a field is in the block, in bytes. */
export function blockOffset(field: BlockField): number {
  let offset = 0;
  for (const [name, type] of Object.entries(blockFields)) {
    if (name === field) return offset;
    offset += sizes[type];
  }
  throw new Error(`the argument block has no field ${field}`);
}
