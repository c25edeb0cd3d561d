/**
 * What vitest runs before and after all tests: everything that they write below the system's folder for temporary files is
 * in one folder, and that is gone in the end.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const PREFIX = 'gpt-test-';

export function setup(): () => void {
  if (basename(tmpdir()).startsWith(PREFIX)) return () => {}; // vitest calls this for each project
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  for (const name of ['TMPDIR', 'TEMP', 'TMP']) process.env[name] = folder; // what os.tmpdir() reads, here and on Windows
  return () => rmSync(folder, { recursive: true, force: true });
}
