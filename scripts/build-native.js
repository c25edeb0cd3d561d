/**
 * Writes the library of AVX-512 machine code to dist/kernels/. Its bytes follow from src/engine/native/ alone, and their hash
 * is part of the program, which checks it before it loads the library: a change of the kernels changes
 * src/engine/native/library-hash.ts too.
 */
import { hash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LIBRARY_SHA256 } from '../src/engine/native/library-hash.ts';
import { assembleLibrary } from '../src/engine/native/library.ts';

const library = assembleLibrary();
const actual = hash('sha256', library);
if (actual === LIBRARY_SHA256) {
  const folder = new URL('../dist/kernels/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const path = fileURLToPath(new URL('avx512.so', folder));
  // Renamed into place, because a process that has loaded the old file must not see it change.
  writeFileSync(`${path}.${process.pid}`, library);
  renameSync(`${path}.${process.pid}`, path);
} else {
  process.stderr.write(
    `error: the assembled library has another hash than the program expects\nhint: if src/engine/native/ was changed on purpose, set LIBRARY_SHA256 in library-hash.ts to ${actual}\n`,
  );
  process.exitCode = 1;
}
