import { costOf } from './cost.ts';
import type { Instruction, Timing } from './instruction.ts';

/** What all instructions of one kind have cost; the matrix products of each shape are a kind of their own. */
export interface KernelProfile {
  /** 'layerNorm', 'gemm 768×512×128 A·Bᵀ' */
  readonly name: string;
  /** How often it ran. */
  readonly runs: number;
  readonly seconds: number;
  /** The part of `seconds` that threads spent waiting for each other, as a mean over the threads. */
  readonly waited: number;
  /** Floating-point operations of matrix products; 0 for kernels that have none. */
  readonly flops: number;
  /** Bytes read and written at least. */
  readonly bytes: number;
}

/** Sums what instructions have taken by kind, the costliest first. */
export function profileOf(timings: Iterable<Timing>): KernelProfile[] {
  const kinds = new Map<string, KernelProfile>();
  for (const { instruction, runs, seconds, waited } of timings) {
    if (runs === 0) continue;
    const name = kindOf(instruction);
    const { flops, bytes } = costOf(instruction);
    const before = kinds.get(name) ?? { name, runs: 0, seconds: 0, waited: 0, flops: 0, bytes: 0 };
    kinds.set(name, {
      name,
      runs: before.runs + runs,
      seconds: before.seconds + seconds,
      waited: before.waited + waited,
      flops: before.flops + flops * runs,
      bytes: before.bytes + bytes * runs,
    });
  }
  return [...kinds.values()].toSorted((a, b) => b.seconds - a.seconds);
}

function kindOf({ kernel, args }: Instruction): string {
  if (kernel !== 'gemm') return kernel;
  const { M, N, K, transA, transB } = args;
  return `gemm ${M}×${N}×${K} A${transA ? 'ᵀ' : ''}·B${transB ? 'ᵀ' : ''}`;
}
