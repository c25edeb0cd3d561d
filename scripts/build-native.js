/**
 * Writes the libraries of AVX-512 machine code to dist/kernels/. Their bytes depend on src/engine/native/ alone. The program
 * verifies the hash of one before loading it, so a change to these kernels requires a change to
 * src/engine/native/library-files.ts.
 */
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { libraryFiles } from '../src/engine/native/library-files.ts';
import { assembleLibrary } from '../src/engine/native/library.ts';

const folder = new URL('../dist/kernels/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [platform, { name, sha256 }] of Object.entries(libraryFiles)) {
  const library = assembleLibrary(platform);
  const actual = hash('sha256', library);
  if (actual === sha256) {
    replaceFile(fileURLToPath(new URL(name, folder)), library);
  } else {
    process.stderr.write(
      `error: the assembled ${name} does not have the expected hash\nhint: if src/engine/native/ was changed on purpose, set its sha256 in library-files.ts to ${actual}\n`,
    );
    process.exitCode = 1;
  }
}

/**
 * Renamed into place, because a process that has loaded the old file must not see it change. Windows does not replace a
 * library that is in use, which need not change either if it is the same.
 */
function replaceFile(path, bytes) {
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, bytes);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}
