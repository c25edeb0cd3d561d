/** A worker thread of the WebAssembly backend: the same module on the same memory, waiting for its share of the work. */
import { parentPort, workerData } from 'node:worker_threads';

interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly threads: number;
}
const { module, memory, thread, threads } = workerData as WorkerData;
const instance = new WebAssembly.Instance(module, { env: { memory, now: () => performance.now() } });
const kernels = instance.exports as { work(thread: number, threads: number): void };
parentPort?.postMessage('ready');
kernels.work(thread, threads); // returns when the backend is closed
