/** What the engine reaches on this machine at its best: the bounds that everything else is measured by. */
import type { Backend } from '../engine/device.ts';
import type { Instruction } from '../engine/instruction.ts';
import { align } from '../engine/memory.ts';

/** Runs for some seconds; returns the shortest time of one run, in seconds: what disturbs can only make it longer. */
function shortestRun(backend: Backend, instruction: Instruction, seconds: number): number {
  const loaded = backend.load([instruction]);
  let shortest = Infinity;
  const until = performance.now() + 1000 * seconds;
  while (performance.now() < until) {
    const start = performance.now();
    loaded.submit();
    shortest = Math.min(shortest, performance.now() - start);
  }
  return shortest / 1000;
}

/** c = a·b for row-major matrices at the start of memory, b as it is or transposed. */
function product(backend: Backend, M: number, N: number, K: number, transB: 0 | 1): Instruction {
  const b = align(M * K);
  const c = b + align(K * N);
  backend.reserve(c + M * N);
  backend.floats.fill(0.5, 0, c);
  const args = {
    a: { offset: 0, length: M * K },
    b: { offset: b, length: K * N },
    bias: null,
    c: { offset: c, length: M * N },
    M,
    N,
    K,
    transA: 0,
    transB,
  };
  return { kernel: 'gemm', label: 'measure', args };
}

/**
 * The machine's peak for matrix products, in FLOP/s: a product whose blocks all stay in the caches and are used so often
 * that packing them costs next to nothing. Overwrites engine memory.
 */
export function gemmPeak(backend: Backend, seconds = 1): number {
  const [M, N, K] = [192 * backend.threads, 1536, 384];
  return (2 * M * N * K) / shortestRun(backend, product(backend, M, N, K, 0), seconds);
}

/**
 * How fast all threads together read memory that is in no cache, in bytes/s: one row times a matrix of 268 MB, which reads
 * every number once. Overwrites engine memory.
 */
export function readBandwidth(backend: Backend, seconds = 1): number {
  const [N, K] = [65_536, 1024];
  return (4 * N * K) / shortestRun(backend, product(backend, 1, N, K, 1), seconds);
}
