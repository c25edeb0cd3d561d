/**
 * Writes the libraries of AVX-512 machine code to dist/kernels/. Their bytes depend on src/engine/native/ alone. The program
 * verifies the hash of one before loading it, so a change to these kernels requires a change to
 * src/engine/native/library-files.ts.
 */
import { hash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { libraryFiles } from '../src/engine/native/library-files.ts';
import { assembleLibrary } from '../src/engine/native/library.ts';

const folder = new URL('../dist/kernels/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [platform, { name, sha256 }] of Object.entries(libraryFiles)) {
  const library = assembleLibrary(platform);
  const actual = hash('sha256', library);
  if (actual === sha256) {
    const path = fileURLToPath(new URL(name, folder));
    // Renamed into place, because a process that has loaded the old file must not see it change.
    writeFileSync(`${path}.${process.pid}`, library);
    renameSync(`${path}.${process.pid}`, path);
  } else {
    process.stderr.write(
      `error: the assembled ${name} does not have the expected hash\nhint: if src/engine/native/ was changed on purpose, set its sha256 in library-files.ts to ${actual}\n`,
    );
    process.exitCode = 1;
  }
}
