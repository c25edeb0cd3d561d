import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes the Node of the tests take itself for one without node:ffi, so that bin/gpt.js starts the bundled one as a child. */
export function oldNode(): string {
  const preload = join(mkdtempSync(join(tmpdir(), 'old-node-')), 'preload.cjs');
  writeFileSync(
    preload,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '24.1.0' } });
     process.env.NODE_OPTIONS = '';`,
  );
  return `--require ${preload}`;
}
