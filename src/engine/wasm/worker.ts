/** A worker thread of the WebAssembly backend: an instance of the same module on the same memory. See workers.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadBlas } from '../native/blas.ts';
import { loadMacroKernel, type MacroKernel } from '../native/load.ts';
import { instantiate } from './builds.ts';
import { writeFailure } from './failure.ts';

interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Whether GEMM may run in machine code. */
  readonly native: boolean;
  /** Path of the BLAS library that may run GEMM. */
  readonly blas: string | undefined;
}
const { module, memory, native, blas } = workerData as WorkerData;

/** A thread that cannot load the machine code runs WebAssembly's macro-kernel, which is bit-identical. */
function macroKernel(): MacroKernel | undefined {
  if (!native) return undefined;
  try {
    return loadMacroKernel(memory);
  } catch {
    return undefined;
  }
}

const kernels = instantiate(module, memory, {
  multiplyPanels: macroKernel(),
  // A BLAS library rounds differently, so a thread that cannot load it must not fall back to WebAssembly.
  multiplyByBlas: blas === undefined ? undefined : loadBlas(blas, memory),
});

parentPort?.once('message', (thread: number) => {
  try {
    kernels.work(thread); // returns when the backend is closed
  } catch (error) {
    writeFailure(memory, error);
    kernels.fail(); // the other threads are waiting at a barrier, where no event can reach them
    throw error;
  }
});
parentPort?.postMessage('ready');
