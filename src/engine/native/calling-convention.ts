/**
 * The two calling conventions of x86-64: System V (AMD64 supplement), that of Linux, and Microsoft's, that of Windows. For
 * functions that take one argument and call no other, they differ in its register and in the callee-saved registers. Such
 * functions need no shadow space, and these store nothing in System V's red zone.
 */
import type { Assembler } from './assembler.ts';
import { at, r12, r13, r14, r15, rbp, rbx, rcx, rdi, rsi, rsp, zmm, type General } from './operands.ts';

/**
 * What a function saves on entry, as Windows needs it to unwind the stack. `end` is the offset of the next instruction from the
 * start of the function.
 */
export interface Prologue {
  /** General-purpose registers, in the order in which they were pushed. */
  readonly pushed: readonly { readonly register: General; readonly end: number }[];
  /** Bytes reserved on the stack after that, and the vectors stored there, 16 bytes each from the lowest address on. */
  readonly vectors?: {
    readonly bytes: number;
    readonly end: number;
    readonly saved: readonly { readonly vector: number; readonly end: number }[];
  };
  /** In bytes. */
  readonly length: number;
}

/** A function within assembled code. */
export interface AssembledFunction {
  /** Offsets of its first byte and of the one after its last. */
  readonly start: number;
  readonly end: number;
  readonly prologue: Prologue;
}

/** Position-independent code. */
export interface Assembled {
  readonly code: Uint8Array;
  /** By name. */
  readonly functions: Readonly<Record<string, AssembledFunction>>;
}

export interface CallingConvention {
  readonly argument: General;
  readonly calleeSaved: readonly General[];
  /** Numbers of the vectors of which the lowest 128 bits are callee-saved. */
  readonly calleeSavedVectors: readonly number[];
}

export const systemV: CallingConvention = {
  argument: rdi,
  calleeSaved: [rbx, rbp, r12, r13, r14, r15],
  calleeSavedVectors: [],
};

export const microsoft: CallingConvention = {
  argument: rcx,
  calleeSaved: [rbx, rbp, rsi, rdi, r12, r13, r14, r15],
  calleeSavedVectors: [6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
};

const XMM = 16;

/** Registers that a function changes, of those that are callee-saved in either convention. */
export interface Changed {
  readonly registers: readonly General[];
  readonly changesVectors: boolean;
}

/** Appends the start of a function: saves the callee-saved registers that it changes. */
export function enter(asm: Assembler, convention: CallingConvention, changed: Changed): Prologue {
  const start = asm.length;
  const end = (): number => asm.length - start;
  const pushed = savedRegisters(convention, changed).map((register) => {
    asm.push(register);
    return { register, end: end() };
  });
  const kept = changed.changesVectors ? convention.calleeSavedVectors : [];
  if (kept.length === 0) return { pushed, length: end() };
  const bytes = vectorBytes(pushed.length, kept.length);
  asm.addImmediate(rsp, -bytes);
  const reserved = end();
  const saved = kept.map((vector, i) => {
    asm.movupsStore(at(rsp, XMM * i), zmm(vector));
    return { vector, end: end() };
  });
  return { pushed, vectors: { bytes, end: reserved, saved }, length: end() };
}

/** Appends the end of a function that was entered with the same arguments. */
export function leave(asm: Assembler, convention: CallingConvention, changed: Changed): void {
  const registers = savedRegisters(convention, changed);
  if (changed.changesVectors) asm.vzeroupper();
  const kept = changed.changesVectors ? convention.calleeSavedVectors : [];
  kept.forEach((vector, i) => asm.movups(zmm(vector), at(rsp, XMM * i)));
  if (kept.length > 0) asm.addImmediate(rsp, vectorBytes(registers.length, kept.length));
  for (const register of registers.toReversed()) asm.pop(register);
  asm.ret();
}

const savedRegisters = ({ calleeSaved }: CallingConvention, { registers }: Changed): readonly General[] =>
  calleeSaved.filter((register) => registers.includes(register));

/** Stack space for vectors, padded so that they are aligned to 16 bytes: on entry, rsp is 8 off. */
const vectorBytes = (pushed: number, vectors: number): number => XMM * vectors + (pushed % 2 === 0 ? 8 : 0);
