import { costOf } from './cost.ts';
import type { Timing } from './device.ts';
import type { Instruction } from './instruction.ts';

/** The cost of all instructions of one kind. GEMMs are one kind per shape. */
export interface KernelProfile {
  /** 'layerNorm', 'gemm 768×512×128 A·Bᵀ' */
  readonly name: string;
  /** Number of runs. */
  readonly runs: number;
  readonly seconds: number;
  /** The part of `seconds` spent waiting at barriers, averaged over the threads. */
  readonly waited: number;
  /** Floating-point operations of matrix products; 0 for kernels that have none. */
  readonly flops: number;
  /** Bytes read and written if each operand is touched once. */
  readonly bytes: number;
}

/**
 * Sums timings by kind of instruction, in descending order of cost.
 *
 * @param since earlier timings of the same instructions, which are subtracted
 * @param kindOf names the kind of an instruction
 */
export function profileOf(
  timings: readonly Timing[],
  {
    since,
    kindOf = kernelAndShape,
  }: { since?: readonly Timing[]; kindOf?: (of: Instruction) => string } = {},
): KernelProfile[] {
  const kinds = new Map<string, KernelProfile>();
  timings.forEach(({ instruction, ...timing }, i) => {
    const runs = timing.runs - (since?.[i].runs ?? 0);
    if (runs === 0) return;
    const name = kindOf(instruction);
    const { flops, bytes } = costOf(instruction);
    const sum = kinds.get(name) ?? { name, runs: 0, seconds: 0, waited: 0, flops: 0, bytes: 0 };
    kinds.set(name, {
      name,
      runs: sum.runs + runs,
      seconds: sum.seconds + timing.seconds - (since?.[i].seconds ?? 0),
      waited: sum.waited + timing.waited - (since?.[i].waited ?? 0),
      flops: sum.flops + flops * runs,
      bytes: sum.bytes + bytes * runs,
    });
  });
  return [...kinds.values()]
    .map((kind) => ({ ...kind, waited: Math.min(kind.waited, kind.seconds) })) // other threads may begin to wait earlier
    .toSorted((a, b) => b.seconds - a.seconds);
}

function kernelAndShape({ kernel, args }: Instruction): string {
  if (kernel === 'linearParametersBackward') return `gemm ${args.K}×${args.N}×${args.M} Aᵀ·B, sums of B`;
  if (kernel === 'gemmSymmetric') return `${shapeOf({ ...args, N: args.M })}, half`;
  return kernel === 'gemm' ? shapeOf(args) : kernel;
}

/** 'gemm 768×512×128 A·Bᵀ' */
const shapeOf = ({
  M,
  N,
  K,
  transA,
  transB,
}: Record<'M' | 'N' | 'K' | 'transA' | 'transB', number>): string =>
  `gemm ${M}×${N}×${K} A${transA ? 'ᵀ' : ''}·B${transB ? 'ᵀ' : ''}`;
