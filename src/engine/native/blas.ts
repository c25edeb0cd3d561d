/**
 * GEMM by a BLAS library of the system, called through node:ffi. On a Mac that is Accelerate, the only way to the matrix
 * units of Apple's processors; elsewhere it may be OpenBLAS, MKL or BLIS, if the user asks for it. The library runs on the
 * engine's threads: each calls it for parts of a product (src/kernels/gemm/blas.ts), so it must not start threads of its own.
 */
import type { DynamicLibrary } from 'node:ffi';
import { basename } from 'node:path';
import { blasBlock } from '../wasm/address-space.ts';
import { productFields } from './argument-block.ts';
import { MACOS, type BlasLibrary } from './blas-choice.ts';
import { addressOf, loadFfi } from '../../ffi.ts';

/** Computes the product in the argument block of a thread. */
export type BlasProduct = (thread: number) => void;

/** Names of the function, which some builds prefix so that two libraries can be loaded at once. */
const PRODUCTS = ['cblas_sgemm', 'scipy_cblas_sgemm'];
/** Names with 64-bit integers, which are not supported. */
const WIDE_PRODUCTS = ['cblas_sgemm64_', 'scipy_cblas_sgemm64_', 'cblas_sgemm_64'];

/** Calls that make a library compute on the thread that calls it. */
const SINGLE_THREADED: readonly {
  readonly library: string;
  readonly symbol: string;
  readonly type: 'int32' | 'int64';
  readonly value: number | bigint;
}[] = [
  { library: 'OpenBLAS', symbol: 'openblas_set_num_threads', type: 'int32', value: 1 },
  { library: 'OpenBLAS', symbol: 'scipy_openblas_set_num_threads', type: 'int32', value: 1 },
  // Its layer without threads, which must be chosen before the first product.
  { library: 'MKL', symbol: 'MKL_Set_Threading_Layer', type: 'int32', value: 1 },
  { library: 'BLIS', symbol: 'bli_thread_set_num_threads', type: 'int64', value: 1n },
  { library: 'Accelerate', symbol: 'BLASSetThreading', type: 'int32', value: 1 },
];

/** Handles of this thread, which must not be collected: that may unload the library. */
const opened = new Map<string, DynamicLibrary>();

/**
 * Opens a library.
 *
 * @throws Error that says why it cannot be used
 */
export function openBlas(path: string): BlasLibrary {
  const library = handleOf(path);
  productOf(library);
  const known = SINGLE_THREADED.find(({ symbol }) => has(library, symbol));
  return { path, name: path === MACOS ? 'Accelerate' : (known?.library ?? basename(path)) };
}

/**
 * The function that computes products with a library, in this thread.
 *
 * @param memory the WebAssembly memory, which holds the operands
 * @throws Error that says why it cannot be used
 */
export function loadBlas(path: string, memory: WebAssembly.Memory): BlasProduct {
  const library = handleOf(path);
  for (const { symbol, type, value } of SINGLE_THREADED)
    if (has(library, symbol)) library.getFunction(symbol, { arguments: [type], return: 'void' })(value);
  const multiply = productOf(library);
  const base = addressOf(loadFfi(), memory);
  const words = new Int32Array(memory.buffer);
  return (thread) => {
    const at = blasBlock(thread) / 4;
    const address = (word: number): bigint => base + BigInt(words[at + word] >>> 0);
    multiply(
      ROW_MAJOR,
      words[at + WORD.transA] === 0 ? AS_STORED : TRANSPOSED,
      words[at + WORD.transB] === 0 ? AS_STORED : TRANSPOSED,
      words[at + WORD.rows],
      words[at + WORD.columns],
      words[at + WORD.k],
      1,
      address(WORD.a),
      words[at + WORD.strideA],
      address(WORD.b),
      words[at + WORD.strideB],
      words[at + WORD.accumulate] === 0 ? 0 : 1,
      address(WORD.c),
      words[at + WORD.strideC],
    );
  };
}

/** Indices of the fields, each a 32-bit word. */
const WORD = Object.fromEntries(Object.keys(productFields).map((name, i) => [name, i])) as Record<
  keyof typeof productFields,
  number
>;

// Values of CBLAS's enumerations.
const [ROW_MAJOR, AS_STORED, TRANSPOSED] = [101, 111, 112];

/** cblas_sgemm(order, transA, transB, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc) */
const SIGNATURE = {
  arguments: [
    ...(['int32', 'int32', 'int32', 'int32', 'int32', 'int32', 'float', 'pointer', 'int32'] as const),
    ...(['pointer', 'int32', 'float', 'pointer', 'int32'] as const),
  ],
  return: 'void',
} as const;

function productOf(library: DynamicLibrary) {
  const name = PRODUCTS.find((each) => has(library, each));
  if (name !== undefined) return library.getFunction(name, SIGNATURE);
  const isWide = WIDE_PRODUCTS.some((each) => has(library, each));
  throw new Error(
    isWide
      ? `${library.path} has 64-bit integers (ILP64); a BLAS library with 32-bit integers (LP64) is needed`
      : `${library.path} has no cblas_sgemm, so it is not a BLAS library with the C interface (CBLAS)`,
  );
}

function handleOf(path: string): DynamicLibrary {
  const found = opened.get(path);
  if (found !== undefined) return found;
  const library = new (loadFfi().DynamicLibrary)(path);
  opened.set(path, library);
  return library;
}

function has(library: DynamicLibrary, symbol: string): boolean {
  try {
    library.getSymbol(symbol);
    return true;
  } catch {
    return false;
  }
}
