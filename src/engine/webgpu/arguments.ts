/** The argument struct of each kernel, generated from the table of signatures: in WGSL, and as the words that fill it. */
import type { Buffer } from '../instruction.ts';
import {
  signatures,
  type Argument,
  type KernelArguments,
  type KernelName,
  type Role,
} from '../signatures.ts';

/** Offset of an optional buffer that is absent. */
const ABSENT = 0xffff_ffff;

/** Bytes between the arguments of two dispatches: the alignment of dynamic offsets that every adapter supports. */
export const ARGUMENT_BYTES = 256;

/**
 * The struct `Args` of a kernel. A buffer is the index of its first element in the arena; sizes are unsigned;
 * `dX_accumulates` is 1 if the kernel adds to dX. The storage of weights is not a field: it selects the shader (`readWeight`).
 */
export function argumentStruct(kernel: KernelName): string {
  const fields = Object.entries<Role>(signatures[kernel]).flatMap(([name, role]) => {
    if (role === 'scalar') return [`${name}: f32`];
    return role === 'accumulate' ? [`${name}: u32`, `${name}_accumulates: u32`] : [`${name}: u32`];
  });
  return `struct Args {\n${fields.map((field) => `  ${field},\n`).join('')}  zero: u32,\n}`;
}

/**
 * The words of a kernel's struct. `zero`, the last field, is a 0 that is unknown to the shader compiler.
 *
 * @param constantAt index at which the program stores constants
 */
export function argumentWords<K extends KernelName>(
  kernel: K,
  args: KernelArguments<K, Buffer>,
  constantAt: (constants: Float32Array) => number,
): Uint32Array {
  const words: number[] = [];
  for (const [name, role] of Object.entries<Role>(signatures[kernel])) {
    const arg = (args as Record<string, Argument<Buffer>>)[name];
    if (arg === null) words.push(ABSENT);
    else if (arg instanceof Float32Array) words.push(constantAt(arg));
    else if (typeof arg === 'number') words.push(role === 'scalar' ? bitsOf(arg) : arg >>> 0);
    else {
      words.push(arg.offset);
      if (role === 'accumulate') words.push(arg.accumulate === true ? 1 : 0);
    }
  }
  words.push(0);
  if (4 * words.length > ARGUMENT_BYTES) throw new Error(`${kernel} has too many arguments`);
  return Uint32Array.from(words);
}

const bitsOf = (float: number): number => new Uint32Array(Float32Array.of(float).buffer)[0];
