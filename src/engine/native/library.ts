/** The library of machine code, which the build writes to dist/kernels/avx512.so (scripts/build-native.js). */
import { Assembler } from './assembler.ts';
import { sharedLibrary } from './elf.ts';
import { macroKernel } from './macro-kernel.ts';
import { processorCheck } from './processor.ts';

/** Assembles all functions. The result is reproducible: the same bytes on every computer. */
export function assembleLibrary(): Uint8Array {
  const asm = new Assembler();
  const functions: Record<string, number> = {};
  for (const [name, append] of Object.entries({ processorCheck, macroKernel })) {
    asm.align(64);
    functions[name] = asm.length;
    append(asm);
  }
  return sharedLibrary(asm.finish(), functions);
}
