/** The libraries of machine code, which the build writes to dist/kernels/ (scripts/build-native.js). */
import { Assembler } from './assembler.ts';
import {
  microsoft,
  systemV,
  type Assembled,
  type AssembledFunction,
  type CallingConvention,
} from './calling-convention.ts';
import { elfLibrary } from './elf.ts';
import { libraryFiles, type Platform } from './library-files.ts';
import { macroKernel } from './macro-kernel.ts';
import { peLibrary } from './pe.ts';
import { processorCheck } from './processor.ts';

const platforms: Readonly<
  Record<
    Platform,
    { readonly convention: CallingConvention; readonly link: (code: Assembled, name: string) => Uint8Array }
  >
> = {
  linux: { convention: systemV, link: elfLibrary },
  win32: { convention: microsoft, link: peLibrary },
};

/** Assembles the functions of a platform's library. The result is reproducible: the same bytes on every computer. */
export function assembleLibrary(platform: Platform): Uint8Array {
  const { convention, link } = platforms[platform];
  return link(assemble(convention), libraryFiles[platform].name);
}

/** All functions, with a calling convention. */
export function assemble(convention: CallingConvention): Assembled {
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
