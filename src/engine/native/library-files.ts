/** The library of each platform: its name in dist/kernels/ and its hash. */
export type Platform = 'linux' | 'win32';

/**
 * SHA-256 of what `assembleLibrary` returns. A build with a different result fails and prints the actual hash; a file with
 * another hash is not loaded.
 */
export const libraryFiles: Readonly<Record<Platform, { readonly name: string; readonly sha256: string }>> = {
  linux: { name: 'avx512.so', sha256: '22bd169aa8d28b19bc496d146b62b822c670cfc9918282f444b4c5668b643834' },
  win32: { name: 'avx512.dll', sha256: '08a372fe58727a9e961a3b93cfd503e0dafaf3822504be6303147d6e0614ef7e' },
};
