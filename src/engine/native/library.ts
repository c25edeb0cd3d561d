/** The libraries of machine code, which the build writes to dist/kernels/ (scripts/build-native.js). */
import { Assembler } from './assembler.ts';
import { microsoft, systemV, type AssembledFunction, type CallingConvention } from './calling-convention.ts';
import { sharedLibrary } from './elf.ts';
import { macroKernel } from './macro-kernel.ts';
import { windowsLibrary } from './pe.ts';
import { processorCheck } from './processor.ts';
import type { Platform } from './library-files.ts';

/** Assembles the functions of a platform's library. The result is reproducible: the same bytes on every computer. */
export function assembleLibrary(platform: Platform): Uint8Array {
  const { code, functions } = assemble(platform === 'win32' ? microsoft : systemV);
  if (platform === 'win32') return windowsLibrary(code, functions);
  const starts = Object.entries(functions).map(([name, { start }]) => [name, start] as const);
  return sharedLibrary(code, Object.fromEntries(starts));
}

/** All functions, with a calling convention. */
export function assemble(convention: CallingConvention): {
  readonly code: Uint8Array;
  readonly functions: Readonly<Record<string, AssembledFunction>>;
} {
  const asm = new Assembler();
  const functions: Record<string, AssembledFunction> = {};
  for (const [name, append] of Object.entries({ processorCheck, macroKernel })) {
    asm.align(64);
    const start = asm.length;
    const prologue = append(asm, convention);
    functions[name] = { start, end: asm.length, prologue };
  }
  return { code: asm.finish(), functions };
}
