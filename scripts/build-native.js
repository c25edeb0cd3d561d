/**
 * Writes the library of AVX-512 machine code to dist/kernels/. Its bytes depend on src/engine/native/ alone. The program
 * verifies its hash before loading it, so a change to these kernels requires a change to
 * src/engine/native/library-hash.ts.
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
    `error: the assembled library does not have the expected hash\nhint: if src/engine/native/ was changed on purpose, set LIBRARY_SHA256 in library-hash.ts to ${actual}\n`,
  );
  process.exitCode = 1;
}
