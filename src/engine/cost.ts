import type { Buffer, Instruction } from './instruction.ts';
import { bytesOf as bytesIn } from './memory.ts';
import { isBuffer, signatures, type Argument, type Role } from './signatures.ts';

/** The work of one instruction, independent of the device. */
export interface Cost {
  /** Floating-point operations of its matrix products, where a multiply-add counts as two; 0 for other kernels. */
  readonly flops: number;
  /** Bytes read and written if each operand is touched once. */
  readonly bytes: number;
}

/**
 * The cost of one run of an instruction, from its shapes. Attention counts the causal half of the scores, whether or not there
 * are documents.
 */
export function costOf(instruction: Instruction): Cost {
  return { flops: flopsOf(instruction), bytes: bytesOf(instruction) };
}

function flopsOf({ kernel, args }: Instruction): number {
  if (kernel === 'gemm' || kernel === 'linearParametersBackward') return 2 * args.M * args.N * args.K;
  if (kernel === 'gemmSymmetric') return args.M * (args.M + 1) * args.K;
  // Forward q·kᵀ and P·v; backward q·kᵀ again, dOut·vᵀ, and dV, dQ and dK: each over the T(T + 1)/2 pairs.
  if (kernel === 'attention') return 2 * 2 * args.B * args.H * args.D * pairs(args.T);
  if (kernel === 'attentionBackward') return 5 * 2 * args.B * args.H * args.D * pairs(args.T);
  return 0;
}

const pairs = (T: number): number => (T * (T + 1)) / 2;

function bytesOf({ kernel, args }: Instruction): number {
  let bytes = 0;
  for (const [name, role] of Object.entries<Role>(signatures[kernel])) {
    const arg = (args as Record<string, Argument<Buffer>>)[name];
    if (!isBuffer(arg)) continue;
    const times = role === 'update' || arg.accumulate === true ? 2 : 1;
    bytes += bytesIn(arg.viewed ?? arg.length, arg.storage ?? 'f32') * times;
  }
  return bytes;
}
