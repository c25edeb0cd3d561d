/**
 * Loads the library of machine code through node:ffi. Each thread opens it separately and gets the same image. Where it cannot
 * be used, an error gives the reason and GEMM stays in WebAssembly.
 */
import { hash } from 'node:crypto';
import type { DynamicLibrary } from 'node:ffi';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MAX_THREADS, nativeBlock } from '../wasm/address-space.ts';
import { blockOffset } from './argument-block.ts';
import { addressOf, loadFfi, MissingFfi, NODE_WITH_FFI } from '../../ffi.ts';
import { libraryFiles, type Platform } from './library-files.ts';
import { ProcessorAnswer } from './processor.ts';

const FOLDER = fileURLToPath(new URL('../../../dist/kernels/', import.meta.url));

/** Opened once per thread. */
let library: DynamicLibrary | undefined;

/** Runs the macro-kernel on the argument block of a thread. */
export type MacroKernel = (thread: number) => void;

/**
 * @param memory the WebAssembly memory, whose address does not change when it grows
 * @param folder of the libraries; default: that of this installation
 * @throws Error that says why machine code cannot be used here
 */
export function loadMacroKernel(memory: WebAssembly.Memory, folder = FOLDER): MacroKernel {
  const file = process.arch === 'x64' ? libraryFiles[process.platform as Platform] : undefined;
  if (file === undefined)
    throw new Error(`it needs Linux or Windows on x86-64; this is ${process.platform} on ${process.arch}`);
  const ffi = ffiOfAvx512();
  const path = join(folder, file.name);
  checkLibrary(path, file.sha256);
  library ??= new ffi.DynamicLibrary(path);
  const answer = library.getFunction('processorCheck', { arguments: [], return: 'uint32' })();
  if (answer === ProcessorAnswer.lacksAvx512) throw new Error(NO_AVX512);
  if (answer !== ProcessorAnswer.usable)
    throw new Error('the operating system does not save the registers of AVX-512');
  const macroKernel = library.getFunction('macroKernel', { arguments: ['pointer'], return: 'void' });
  const blocks = prepareBlocks(memory, addressOf(ffi, memory));
  return (thread) => macroKernel(blocks[thread]);
}

/**
 * Writes the address of the memory to all threads' argument blocks. Returns the addresses of the blocks, precomputed because
 * every BigInt is an allocation.
 */
function prepareBlocks(memory: WebAssembly.Memory, base: bigint): bigint[] {
  const view = new DataView(memory.buffer);
  return Array.from({ length: MAX_THREADS }, (_, thread) => {
    const block = nativeBlock(thread);
    view.setBigUint64(block + blockOffset('base'), base, true);
    return base + BigInt(block);
  });
}

const NO_AVX512 = 'it needs a processor with AVX-512';

/** Without node:ffi the library cannot check the CPU. A newer Node helps only if the CPU has AVX-512. */
function ffiOfAvx512(): typeof import('node:ffi') {
  try {
    return loadFfi();
  } catch (error) {
    if (!(error instanceof MissingFfi)) throw error;
    const flags = processorFlags();
    if (flags === undefined) throw new Error(`${NO_AVX512} and ${NODE_WITH_FFI}`, { cause: error });
    if (!/\bavx512f\b/.test(flags)) throw new Error(NO_AVX512, { cause: error });
    throw error;
  }
}

/** What Linux says of the CPU; undefined where it cannot be read. */
function processorFlags(): string | undefined {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return undefined;
  }
}

/**
 * Verifies the library's hash, since loading a truncated file would crash the process.
 *
 * @throws Error if it is missing or not the one this program was built with
 */
function checkLibrary(path: string, sha256: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new Error(`${path} is missing`);
  if (!found.isFile() || hash('sha256', readFileSync(path)) !== sha256)
    throw new Error(`${path} is not the library that this version was built with`);
}
