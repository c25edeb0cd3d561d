/**
 * Which BLAS library runs GEMM. Separate from blas.ts, because the package's own types cannot refer to
 * WebAssembly's.
 */

/** A library and what it is called in messages and checkpoints. */
export interface BlasLibrary {
  /** As it is opened: a path, or a name that the system looks up. */
  readonly path: string;
  readonly name: string;
}

/** Which libraries to try: those that the system is likely to have, the one at a path, or none. */
export type BlasChoice = 'auto' | 'off' | { readonly path: string };

export const MACOS = '/System/Library/Frameworks/Accelerate.framework/Accelerate';
/** By platform, in the order in which they are tried. */
const KNOWN: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: [MACOS],
  linux: ['libmkl_rt.so.3', 'libmkl_rt.so.2', 'libopenblas.so.0', 'libblis.so.4', 'libblas.so.3'],
  win32: ['mkl_rt.3.dll', 'mkl_rt.2.dll', 'libopenblas.dll', 'openblas.dll'],
};

/** The libraries to try for a choice. @param platform for tests */
export function librariesFor(
  choice: BlasChoice,
  platform: NodeJS.Platform = process.platform,
): readonly string[] {
  if (choice === 'off') return [];
  return choice === 'auto' ? (KNOWN[platform] ?? []) : [choice.path];
}
