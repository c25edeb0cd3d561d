/** Instructions as 32-bit words, as the generated dispatcher reads them (scripts/kernel-dispatch.js). */
import type { Buffer, Instruction } from '../instruction.ts';
import { signatures, type KernelName, type Role } from '../signatures.ts';

const opcodes = new Map(Object.keys(signatures).map((kernel, opcode) => [kernel as KernelName, opcode]));

export interface EncodedProgram {
  readonly words: Int32Array;
  /** Index of each instruction's first word, followed by the total number of words. */
  readonly starts: readonly number[];
}

/** @param base start of the device's memory, in bytes */
export function encode(program: readonly Instruction[], base: number): EncodedProgram {
  const words: number[] = [];
  const starts: number[] = [];
  const bits = new DataView(new ArrayBuffer(4));
  for (const { kernel, args } of program) {
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
