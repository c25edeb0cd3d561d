/** Instructions as 32-bit words, as the generated dispatcher reads them (scripts/kernel-dispatch.js). */
import { THREAD_SCRATCH } from '../address-space.ts';
import type { Buffer, Instruction } from '../instruction.ts';
import { EngineMemoryError } from '../memory.ts';
import { signatures, type KernelName, type Role } from '../signatures.ts';

const opcodes = new Map(Object.keys(signatures).map((kernel, opcode) => [kernel as KernelName, opcode]));

export interface EncodedProgram {
  readonly words: Int32Array;
  /** Index of each instruction's first word, and at the end the number of words. */
  readonly starts: readonly number[];
}

/**
 * @param base where the device's memory starts, in bytes
 * @throws EngineMemoryError if a kernel would outgrow the working memory of a thread
 */
export function encode(program: readonly Instruction[], base: number): EncodedProgram {
  const words: number[] = [];
  const starts: number[] = [];
  const bits = new DataView(new ArrayBuffer(4));
  for (const instruction of program) {
    checkScratch(instruction);
    const { kernel, args } = instruction;
    starts.push(words.length);
    words.push(opcodes.get(kernel)!);
    for (const [name, role] of Object.entries<Role>(signatures[kernel])) {
      const arg = (args as Record<string, Buffer | number | null>)[name];
      if (typeof arg === 'number') {
        if (role === 'scalar') {
          bits.setFloat32(0, arg);
          words.push(bits.getInt32(0));
        } else words.push(arg);
      } else {
        words.push(arg === null ? 0 : base + 4 * arg.offset);
        if (role === 'accumulate') words.push(arg?.accumulate === true ? 1 : 0);
      }
    }
  }
  starts.push(words.length);
  return { words: Int32Array.from(words, (word) => word | 0), starts };
}

/**
 * In attention, a thread keeps three packed matrices of a head and two blocks of T rows in its working memory
 * (src/kernels/attention/backward.ts).
 */
function checkScratch({ kernel, args }: Instruction): void {
  if (kernel !== 'attention' && kernel !== 'attentionBackward') return;
  const { T, D } = args;
  const bytes = 16_384 + 192 * (T + 2) * Math.ceil(D / 16) + 648 * (T + 8) + 128 * D;
  if (bytes <= THREAD_SCRATCH) return;
  throw new EngineMemoryError(
    `attention over ${T} positions, with heads of ${D} channels, needs ${(bytes / 1e6).toFixed(1)} MB a thread; there are ${(THREAD_SCRATCH / 1e6).toFixed(1)}`,
    { hint: 'use a smaller --block-size' },
  );
}
