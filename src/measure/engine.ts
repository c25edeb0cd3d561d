/** Peak rates of the engine on this CPU, the bounds that other measurements are compared with. */
import type { Device } from '../engine/device.ts';
import type { Instruction } from '../engine/instruction.ts';
import { timedProduct } from '../engine/timed-product.ts';

/** The shortest time of an instruction, in seconds. Disturbances can only make it longer. */
async function shortestRun(device: Device, instruction: Instruction, seconds: number): Promise<number> {
  const loaded = device.load([instruction]);
  let shortest = Infinity;
  const until = performance.now() + 1000 * seconds;
  while (performance.now() < until) {
    const start = performance.now();
    loaded.submit();
    await device.finish();
    shortest = Math.min(shortest, performance.now() - start);
  }
  return shortest / 1000;
}

/**
 * Peak GEMM rate in FLOP/s, with blocks that stay in cache and are reused so often that packing is negligible. Overwrites
 * engine memory.
 */
export async function gemmPeak(device: Device, seconds = 1): Promise<number> {
  const [M, N, K] = [192 * device.threads, 1536, 384];
  return (2 * M * N * K) / (await shortestRun(device, timedProduct(device, M, N, K, 0), seconds));
}

/** Read bandwidth of all threads together, in bytes/s, from a GEMV over a 268 MB matrix. Overwrites engine memory. */
export async function readBandwidth(device: Device, seconds = 1): Promise<number> {
  const [N, K] = [65_536, 1024];
  return (4 * N * K) / (await shortestRun(device, timedProduct(device, 1, N, K, 1), seconds));
}
