/**
 * CPU feature detection: a function that checks whether this processor can run the others. It uses baseline x86-64 instructions
 * only, and is called before anything else in the library (Intel SDM, volume 1, section 15.2).
 */
import type { Assembler, Label } from './assembler.ts';
import { enter, leave, type CallingConvention, type Prologue } from './calling-convention.ts';
import { rax, rbx, rcx, type General } from './operands.ts';

/** Return values of the function. */
export const ProcessorAnswer = { usable: 0, lacksAvx512: 1, registersNotSaved: 2 } as const;

/** CPUID leaf 1, ecx: XGETBV works. */
const OSXSAVE = 1 << 27;
/** CPUID leaf 7, ebx: BZHI, and the foundation of AVX-512. */
const BMI2 = 1 << 8;
const AVX512F = 1 << 16;
/** XCR0: the operating system saves SSE and AVX registers, masks, and both parts of the 512-bit registers. */
const VECTOR_STATES = 0b1110_0110;

/** CPUID clobbers rbx. */
const changed = { registers: [rbx], changesVectors: false };

/** Appends the function's code: no argument, returns a `ProcessorAnswer`. */
export function processorCheck(asm: Assembler, convention: CallingConvention): Prologue {
  const lacking = asm.label();
  const unsaved = asm.label();
  const end = asm.label();
  const prologue = enter(asm, convention, changed);
  askProcessor(asm, 0);
  asm.cmpImmediate(rax, 7); // the highest leaf
  asm.jumpIf('less', lacking);
  askProcessor(asm, 7);
  requireBits(asm, rbx, AVX512F | BMI2, lacking);
  askProcessor(asm, 1);
  requireBits(asm, rcx, OSXSAVE, unsaved);
  asm.movImmediate(rcx, 0);
  asm.xgetbv();
  requireBits(asm, rax, VECTOR_STATES, unsaved);
  asm.movImmediate(rax, ProcessorAnswer.usable);
  asm.jmp(end);
  asm.place(lacking);
  asm.movImmediate(rax, ProcessorAnswer.lacksAvx512);
  asm.jmp(end);
  asm.place(unsaved);
  asm.movImmediate(rax, ProcessorAnswer.registersNotSaved);
  asm.place(end);
  leave(asm, convention, changed);
  return prologue;
}

function askProcessor(asm: Assembler, leaf: number): void {
  asm.movImmediate(rax, leaf);
  asm.movImmediate(rcx, 0); // subleaf 0
  asm.cpuid();
}

/** Jumps unless all bits are set. */
function requireBits(asm: Assembler, register: General, bits: number, otherwise: Label): void {
  asm.andImmediate(register, bits);
  asm.cmpImmediate(register, bits);
  asm.jumpIf('notEqual', otherwise);
}
