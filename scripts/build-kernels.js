/**
 * Compiles the AssemblyScript kernels into dist/kernels/, once per set of WebAssembly features that a JavaScript engine may
 * support. AssemblyScript is first generated from the table of instructions (kernel-dispatch.js): a kernel that is in the
 * table but not in src/kernels/ is a compile error.
 *
 * --sources: only writes src/kernels/generated/, which type-checking the kernels needs.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { main as compile } from 'assemblyscript/asc';
import { blockFields, productFields } from '../src/engine/native/argument-block.ts';
import { PANEL_COLUMNS, PANEL_ROWS } from '../src/engine/native/micro-kernel.ts';
import { Q8_BLOCK, Q8_BLOCK_BYTES } from '../src/engine/q8.ts';
import * as memoryMap from '../src/engine/wasm/address-space.ts';
import { GEMV_ROWS, HYPER, NORM_BLOCK, signatures, STORAGE } from '../src/engine/signatures.ts';
import { argumentClasses, constantDeclarations, dispatcher, kernelsIn } from './kernel-dispatch.js';
import { microKernels } from './micro-kernels.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const sources = new URL('../src/kernels/', import.meta.url);

/** The source file of each kernel. */
function findKernels() {
  const files = new Map();
  for (const file of readdirSync(sources, { recursive: true })) {
    if (!file.endsWith('.ts') || file.startsWith('generated')) continue;
    const path = file.replaceAll('\\', '/');
    const text = readFileSync(new URL(path, sources), 'utf8');
    for (const name of kernelsIn(text)) files.set(name, path.slice(0, -3));
  }
  return files;
}

/**
 * Reads a source for the compiler. A function or method whose documentation has the tag `@inline` gets AssemblyScript's
 * decorator of that name: decorators of functions are not TypeScript, so with the tag Prettier and the linter can read
 * src/kernels/.
 */
function readSource(file) {
  const path = new URL(file, `file://${root}`);
  if (!existsSync(path)) return null;
  const comments = /\/\*\*(?:(?!\*\/)[^])*\*\//g;
  return readFileSync(path, 'utf8').replace(comments, (text) =>
    /@inline\b/.test(text) ? `${text} @inline` : text,
  );
}

/**
 * The tile of the micro-kernel and whether multiply-add is fused, see micro-kernels.js; whether GEMM may run in machine code,
 * which reads the panels of that build (engine/native/micro-kernel.ts).
 */
const variants = {
  simd: { RELAXED: 0, MR: 4, NR: 8, MAY_USE_NATIVE: 0 },
  relaxed: { RELAXED: 1, MR: 6, NR: 8, MAY_USE_NATIVE: 0 },
  revectorize: { RELAXED: 1, MR: PANEL_ROWS, NR: PANEL_COLUMNS, MAY_USE_NATIVE: 1 },
};

/** Declarations of the host that the kernels use, see engine/wasm/address-space.ts and engine/signatures.ts. */
const {
  CACHE_LINE,
  CONTROL,
  STRANDS,
  MAX_THREADS,
  SCRATCH_BASE,
  SHARED_SCRATCH,
  TIME_RECORD,
  THREAD_SCRATCH,
} = memoryMap;
const shared = {
  usize: { ...CONTROL, CACHE_LINE, SCRATCH_BASE, SHARED_SCRATCH, THREAD_SCRATCH, TIME_RECORD },
  i32: {
    STRANDS,
    MAX_THREADS,
    GEMV_ROWS,
    NORM_BLOCK,
    F32: STORAGE.f32,
    BF16: STORAGE.bf16,
    F16: STORAGE.f16,
    Q8: STORAGE.q8,
    Q8_BLOCK,
    Q8_BLOCK_BYTES,
  },
};

const options = [
  '--optimizeLevel 3 --shrinkLevel 0 --converge --noAssert --runtime stub',
  '--enable simd --enable relaxed-simd --enable threads',
  '--importMemory --sharedMemory --initialMemory 32 --maximumMemory 65536',
  `--memoryBase ${memoryMap.STATIC_DATA}`,
].flatMap((line) => line.split(' '));

mkdirSync(new URL('generated/', sources), { recursive: true });
writeFileSync(
  new URL('generated/arguments.ts', sources),
  argumentClasses(signatures, HYPER, { NativeBlock: blockFields, BlasBlock: productFields }),
);
writeFileSync(new URL('generated/dispatch.ts', sources), dispatcher(signatures, findKernels()));

for (const [name, variant] of Object.entries(variants)) {
  const constants = constantDeclarations({ ...shared, i32: { ...shared.i32, ...variant } });
  writeFileSync(new URL('generated/constants.ts', sources), constants);
  writeFileSync(new URL('generated/micro-kernels.ts', sources), microKernels(variant));
  if (process.argv.includes('--sources')) break;
  const files = ['src/kernels/main.ts', '--baseDir', root, '--outFile', `dist/kernels/${name}.wasm`];
  const { error } = await compile([...files, ...options], {
    stderr: process.stderr,
    readFile: readSource,
  });
  if (error) {
    process.exitCode = 1;
    break;
  }
}
