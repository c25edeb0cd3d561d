/** A worker thread of the WebAssembly backend: an instance of the same module on the same memory. See workers.ts. */
import { parentPort, workerData } from 'node:worker_threads';

interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}
const { module, memory } = workerData as WorkerData;
const instance = new WebAssembly.Instance(module, {
  env: { memory },
  host: { now: () => performance.now() },
});
const kernels = instance.exports as { work(thread: number): void; fail(): void };

parentPort?.once('message', (thread: number) => {
  try {
    kernels.work(thread); // returns when the backend is closed
  } catch (error) {
    kernels.fail(); // the other threads are waiting at a barrier, where no event can reach them
    throw error;
  }
});
parentPort?.postMessage('ready');
