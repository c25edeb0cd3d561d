import type { Device } from './device.ts';
import type { Instruction } from './instruction.ts';
import { align } from './memory.ts';

/** GEMM c = a·b of row-major matrices at the start of memory, to measure its speed; either may be transposed. */
export function timedProduct(
  device: Device,
  M: number,
  N: number,
  K: number,
  transB: 0 | 1,
  transA: 0 | 1 = 0,
): Instruction {
  const b = align(M * K);
  const c = b + align(K * N);
  device.reserve(c + M * N);
  device.fill(0, c, 0.5);
  const args = {
    a: { offset: 0, length: M * K },
    b: { offset: b, length: K * N },
    bias: null,
    c: { offset: c, length: M * N },
    M,
    N,
    K,
    transA,
    transB,
  };
  return { kernel: 'gemm', label: 'measure', args };
}
