/**
 * The stack trace of a kernel that has trapped in a worker, in shared memory: the main thread reports the failure before a
 * message of the worker could arrive.
 */
import { CONTROL, FAILURE_BYTES } from './address-space.ts';

const TEXT = CONTROL.FAILURE + 4;

/** Worker threads: to be called before `Kernels.fail`. */
export function writeFailure({ buffer }: WebAssembly.Memory, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const bytes = new TextEncoder().encode(text).subarray(0, FAILURE_BYTES);
  // Only the first reports: others trap because it has, or at the same time.
  if (Atomics.compareExchange(new Int32Array(buffer), CONTROL.FAILURE / 4, 0, bytes.length) === 0)
    new Uint8Array(buffer).set(bytes, TEXT);
}

/** Main thread: an error with the worker's message and stack trace. */
export function readFailure({ buffer }: WebAssembly.Memory): Error {
  const length = new Int32Array(buffer)[CONTROL.FAILURE / 4];
  const stack = new TextDecoder().decode(new Uint8Array(buffer).slice(TEXT, TEXT + length));
  const [what, ...frames] = stack.split('\n');
  const error = new Error(`a kernel failed in a worker thread: ${what}`);
  error.stack = [`${error.name}: ${error.message}`, ...frames].join('\n');
  return error;
}
