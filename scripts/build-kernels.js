/**
 * Compiles the AssemblyScript kernels, once for each mode a JavaScript engine may offer, into dist/kernels/. Runs after the
 * TypeScript build, whose table of instructions it turns into AssemblyScript (kernel-dispatch.js): a kernel that the table names and
 * src/kernels/ lacks is a compile error.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { main as compile } from 'assemblyscript/asc';
import { SCRATCH_BASE, SHARED_SCRATCH, THREAD_SCRATCH } from '../dist/engine/address-space.js';
import { signatures } from '../dist/engine/signatures.js';
import { argumentClasses, dispatcher, kernelsIn } from './kernel-dispatch.js';
import { microKernels } from './micro-kernels.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const sources = new URL('../src/kernels/', import.meta.url);

/** Which file has which kernel, and how it takes its arguments: looked up in the sources. */
function findKernels() {
  const found = new Map();
  for (const file of readdirSync(sources, { recursive: true })) {
    if (!file.endsWith('.ts') || file.startsWith('generated')) continue;
    const path = file.replaceAll('\\', '/');
    const text = readFileSync(new URL(path, sources), 'utf8');
    for (const [name, kernel] of kernelsIn(text, path.slice(0, -3))) found.set(name, kernel);
  }
  return found;
}

/**
 * Reads a source for the compiler. A function or method whose documentation has the tag `@inline` gets AssemblyScript's decorator
 * of that name: decorators of functions are not TypeScript, so with the tag Prettier and the linter can read src/kernels/.
 */
function readSource(file) {
  const path = new URL(file, `file://${root}`);
  if (!existsSync(path)) return null;
  const comments = /\/\*\*(?:(?!\*\/)[^])*\*\//g;
  return readFileSync(path, 'utf8').replace(comments, (text) =>
    /@inline\b/.test(text) ? `${text} @inline` : text,
  );
}

/** The tile of the micro-kernel and whether multiply-add is fused, see micro-kernels.js. */
const variants = {
  simd: { RELAXED: 0, MR: 4, NR: 8 },
  relaxed: { RELAXED: 1, MR: 6, NR: 8 },
  revectorize: { RELAXED: 1, MR: 6, NR: 16 },
};

const options = [
  '--optimizeLevel 3 --shrinkLevel 0 --converge --noAssert --runtime stub',
  '--enable simd --enable relaxed-simd --enable threads',
  '--importMemory --sharedMemory --initialMemory 32 --maximumMemory 65536',
  '--memoryBase 4096', // below are the control words, see src/kernels/threads.ts
].flatMap((line) => line.split(' '));

mkdirSync(new URL('generated/', sources), { recursive: true });
writeFileSync(new URL('generated/arguments.ts', sources), argumentClasses(signatures));
writeFileSync(new URL('generated/dispatch.ts', sources), dispatcher(signatures, findKernels()));

for (const [name, variant] of Object.entries(variants)) {
  writeFileSync(new URL('generated/micro-kernels.ts', sources), microKernels(variant));
  const constants = { ...variant, SCRATCH_BASE, SHARED_SCRATCH, THREAD_SCRATCH };
  const constantOptions = Object.entries(constants).flatMap(([key, value]) => ['--use', `${key}=${value}`]);
  const files = ['src/kernels/main.ts', '--baseDir', root, '--outFile', `dist/kernels/${name}.wasm`];
  const { error } = await compile([...files, ...options, ...constantOptions], {
    stderr: process.stderr,
    readFile: readSource,
  });
  if (error) {
    process.exitCode = 1;
    break;
  }
}
