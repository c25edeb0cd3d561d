/** Instructions as 32-bit words, as the generated dispatcher reads them (scripts/kernel-dispatch.js). */
import type { Buffer, Instruction } from '../instruction.ts';
import { STRANDS } from './address-space.ts';
import { signatures, STORAGE, type Argument, type KernelName, type Role } from '../signatures.ts';

const opcodes = new Map(Object.keys(signatures).map((kernel, opcode) => [kernel as KernelName, opcode]));

export interface EncodedProgram {
  readonly words: Int32Array;
  /** Index of each instruction's first word, or of the header in front of it, followed by the end of the last one. */
  readonly starts: readonly number[];
}

/** For each group of adjacent strands: the index of each strand's first instruction, then the index after the group. */
function strandsIn(program: readonly Instruction[]): number[][] {
  const found: number[][] = [];
  for (let index = 0; index < program.length; index++) {
    if (program[index].strand === undefined) continue;
    const bounds = [index];
    for (; program[index]?.strand !== undefined; index++)
      if (program[index].strand !== program[bounds.at(-1)!].strand) bounds.push(index);
    found.push([...bounds, index]);
  }
  return found;
}

/**
 * The constants of all instructions follow the last one.
 *
 * @param at address of the first word
 * @param base start of the device's memory; both in bytes
 */
export function encode(program: readonly Instruction[], at: number, base: number): EncodedProgram {
  const words: number[] = [];
  const starts: number[] = [];
  const constants: { readonly word: number; readonly numbers: Float32Array }[] = [];
  const bits = new DataView(new ArrayBuffer(4));
  const headers = new Map(strandsIn(program).map((bounds) => [bounds[0], bounds]));
  /** Index of each instruction's opcode. */
  const opcodeWords: number[] = [];
  program.forEach(({ kernel, args }, index) => {
    starts.push(words.length);
    const bounds = headers.get(index);
    if (bounds !== undefined) words.push(STRANDS, bounds.length - 1, ...bounds.flatMap(() => [0, 0]));
    opcodeWords.push(words.length);
    words.push(opcodes.get(kernel)!);
    for (const [name, role] of Object.entries<Role>(signatures[kernel])) {
      const arg = (args as Record<string, Argument<Buffer>>)[name];
      if (typeof arg === 'number') {
        if (role === 'scalar') {
          bits.setFloat32(0, arg);
          words.push(bits.getInt32(0));
        } else words.push(arg);
      } else if (arg instanceof Float32Array) {
        constants.push({ word: words.length, numbers: arg });
        words.push(0);
      } else {
        words.push(arg === null ? 0 : base + 4 * arg.offset);
        if (role === 'weights') words.push(STORAGE[arg?.storage ?? 'f32']);
        if (role === 'accumulate') words.push(arg?.accumulate === true ? 1 : 0);
      }
    }
  });
  starts.push(words.length);
  for (const [first, bounds] of headers)
    bounds.forEach((index, i) => {
      const isEnd = i === bounds.length - 1;
      const entry = starts[first] + 2 + 2 * i;
      words[entry] = at + 4 * (isEnd ? starts : opcodeWords)[index];
      words[entry + 1] = index - first;
    });
  for (const { word, numbers } of constants) {
    words[word] = at + 4 * words.length;
    words.push(...new Int32Array(numbers.buffer, numbers.byteOffset, numbers.length));
  }
  return { words: Int32Array.from(words, (word) => word | 0), starts };
}
