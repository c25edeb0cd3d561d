/**
 * Encoding of x86-64 instructions (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
 * chapter 2):
 *
 *     prefix · opcode · ModRM [SIB] [displacement]
 *
 * ModRM encodes two operands: `reg`, a register, and `rm`, a register or memory operand. It holds the lowest three bits of each
 * register number; the prefix holds the rest. The prefix is REX for general-purpose instructions, VEX for those with three
 * operands, EVEX for those with 512-bit vectors and masks.
 */
import type { General, Mask, Memory, Vector } from './operands.ts';

export type Register = General | Vector | Mask;

/** Extracts `count` bits of a number, starting at bit `from`. */
const bits = (number: number, from: number, count = 1): number => (number >> from) & ((1 << count) - 1);
/** VEX and EVEX store most register bits inverted. */
const inverted = (number: number, from: number, count = 1): number => bits(~number, from, count);

/** The opcode maps that VEX and EVEX can select: opcodes that begin with 0F, and with 0F 38. */
export const MAP_0F = 1;
export const MAP_0F38 = 2;
/** Mandatory prefixes, which VEX and EVEX encode in two bits. */
export const NO_PREFIX = 0;
export const PREFIX_66 = 1;

export const int32 = (value: number): number[] =>
  [value, value >> 8, value >> 16, value >> 24].map((b) => b & 255);

const isByte = (value: number): boolean => Number.isInteger(value) && value >= -128 && value <= 127;

/** Number of the register in `rm`: for a memory operand, the base register. */
const rmNumber = (rm: Register | Memory): number => (rm.kind === 'memory' ? rm.base.number : rm.number);

/**
 * ModRM, SIB and displacement.
 *
 * @param reg register number or opcode extension
 * @param unit EVEX: an 8-bit displacement is a multiple of this number of bytes
 */
export function modRM(reg: number, rm: Register | Memory, unit = 1): number[] {
  const middle = bits(reg, 0, 3) << 3;
  const low = bits(rmNumber(rm), 0, 3);
  if (rm.kind !== 'memory') return [0xc0 | middle | low];
  const { displacement } = rm;
  // With rsp or r12 as base, a SIB byte is required; 0x24 is the one without an index.
  const sib = low === 4 ? [0x24] : [];
  // With rbp or r13 as base, a displacement is required: the encoding without one has another meaning.
  if (displacement === 0 && low !== 5) return [middle | low, ...sib];
  if (isByte(displacement / unit)) return [0x40 | middle | low, ...sib, (displacement / unit) & 255];
  return [0x80 | middle | low, ...sib, ...int32(displacement)];
}

/** The REX prefix, if one is needed. @param wide 64-bit operands instead of 32-bit ones */
export function rex(wide: boolean, reg: number, rm: Register | Memory): number[] {
  const prefix = 0x40 | (wide ? 8 : 0) | (bits(reg, 3) << 2) | bits(rmNumber(rm), 3);
  return prefix === 0x40 ? [] : [prefix];
}

/** The parts of an opcode that the VEX and EVEX prefixes encode. */
export interface Opcode {
  readonly map: number;
  readonly prefix: number;
  readonly opcode: number;
  /** The bit W, which distinguishes some instructions of the same opcode. */
  readonly wide?: boolean;
}

/**
 * An instruction with the three-byte VEX prefix, for scalar operands.
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

/** Masking of an EVEX instruction. By default, masked-off lanes keep their value. */
export interface Masking {
  readonly mask?: Mask;
  /** Masked-off lanes become 0. */
  readonly zeroing?: boolean;
}

/**
 * An instruction with an EVEX prefix, for 512-bit vectors.
 *
 * @param second the operand in `vvvv`
 * @param unit size of the memory operand in bytes, by which an 8-bit displacement is scaled
 */
export function evex(
  { map, prefix, opcode }: Opcode,
  reg: number,
  second: number,
  rm: Register | Memory,
  { unit = 64, mask, zeroing = false }: Masking & { unit?: number } = {},
): number[] {
  const number = rmNumber(rm);
  // Bit 4 of a register in `rm` is encoded in place of an index register's bit 3.
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
