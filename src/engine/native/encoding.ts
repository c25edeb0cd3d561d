/**
 * How an x86-64 instruction is written as bytes (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
 * chapter 2):
 *
 *     prefix · opcode · ModRM [SIB] [displacement]
 *
 * ModRM names two operands: `reg`, a register, and `rm`, a register or a place in memory. It has three bits for the number of a
 * register; the prefix holds the others. There are three prefixes: REX for general instructions, VEX for those with three
 * operands, EVEX for those with 512-bit vectors and masks.
 */
import type { General, Mask, Memory, Vector } from './operands.ts';

export type Register = General | Vector | Mask;

/** The bits of a number from bit `from` on, `count` of them. */
const bits = (number: number, from: number, count = 1): number => (number >> from) & ((1 << count) - 1);
/** VEX and EVEX store most register bits inverted. */
const inverted = (number: number, from: number, count = 1): number => bits(~number, from, count);

/** The opcode maps that VEX and EVEX can select: opcodes that begin with 0F, and with 0F 38. */
export const MAP_0F = 1;
export const MAP_0F38 = 2;
/** Prefixes that VEX and EVEX include as two bits. */
export const NO_PREFIX = 0;
export const PREFIX_66 = 1;

export const int32 = (value: number): number[] =>
  [value, value >> 8, value >> 16, value >> 24].map((b) => b & 255);

const isByte = (value: number): boolean => Number.isInteger(value) && value >= -128 && value <= 127;

/** The number of the register that `rm` names: that of the base if it is in memory. */
const rmNumber = (rm: Register | Memory): number => (rm.kind === 'memory' ? rm.base.number : rm.number);

/**
 * ModRM, SIB and displacement.
 *
 * @param reg a register's number, or the digit that extends the opcode
 * @param unit EVEX: an 8-bit displacement counts in units of this many bytes
 */
export function modRM(reg: number, rm: Register | Memory, unit = 1): number[] {
  const middle = bits(reg, 0, 3) << 3;
  const low = bits(rmNumber(rm), 0, 3);
  if (rm.kind !== 'memory') return [0xc0 | middle | low];
  const { displacement } = rm;
  // The encoding for "rsp or r12 as base" announces a SIB byte; 24 is the one without an index.
  const sib = low === 4 ? [0x24] : [];
  // Without displacement, rbp and r13 as base would mean something else.
  if (displacement === 0 && low !== 5) return [middle | low, ...sib];
  if (isByte(displacement / unit)) return [0x40 | middle | low, ...sib, (displacement / unit) & 255];
  return [0x80 | middle | low, ...sib, ...int32(displacement)];
}

/** REX, where it is needed. @param wide operands of 64 bits instead of 32 */
export function rex(wide: boolean, reg: number, rm: Register | Memory): number[] {
  const prefix = 0x40 | (wide ? 8 : 0) | (bits(reg, 3) << 2) | bits(rmNumber(rm), 3);
  return prefix === 0x40 ? [] : [prefix];
}

/** What the prefixes VEX and EVEX say about an instruction. */
export interface Opcode {
  readonly map: number;
  readonly prefix: number;
  readonly opcode: number;
  /** The bit W, which distinguishes some instructions of the same opcode. */
  readonly wide?: boolean;
}

/**
 * A whole instruction with a VEX prefix, in its form of three bytes, for scalar operands.
 *
 * @param second the operand in `vvvv`
 */
export function vex(
  { map, prefix, opcode, wide = false }: Opcode,
  reg: number,
  second: number,
  rm: Register | Memory,
): number[] {
  return [
    0xc4,
    (inverted(reg, 3) << 7) | (1 << 6) | (inverted(rmNumber(rm), 3) << 5) | map,
    (wide ? 0x80 : 0) | (inverted(second, 0, 4) << 3) | prefix,
    opcode,
    ...modRM(reg, rm),
  ];
}

/** How an EVEX instruction treats the lanes that its mask leaves out: by default they keep their value. */
export interface Masking {
  readonly mask?: Mask;
  /** They become 0. */
  readonly zeroing?: boolean;
}

/**
 * A whole instruction with an EVEX prefix, on 512-bit vectors.
 *
 * @param second the operand in `vvvv`
 * @param unit size of the memory operand in bytes: the unit of its 8-bit displacement
 */
export function evex(
  { map, prefix, opcode }: Opcode,
  reg: number,
  second: number,
  rm: Register | Memory,
  { unit = 64, mask, zeroing = false }: Masking & { unit?: number } = {},
): number[] {
  const number = rmNumber(rm);
  // Bit 4 of a register in `rm` is stored where an index register would have its bit 3.
  const x = rm.kind === 'memory' ? 1 : inverted(number, 4);
  return [
    0x62,
    (inverted(reg, 3) << 7) | (x << 6) | (inverted(number, 3) << 5) | (inverted(reg, 4) << 4) | map,
    (inverted(second, 0, 4) << 3) | 4 | prefix,
    (zeroing ? 0x80 : 0) | (2 << 5) | (inverted(second, 4) << 3) | (mask?.number ?? 0),
    opcode,
    ...modRM(reg, rm, unit),
  ];
}
