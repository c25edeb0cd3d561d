/**
 * Imported by every benchmark: runs it on the Node that came with the installation if the one at hand is too old, as `gpt`
 * does, and ends it without a stack if it cannot run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail } from './failure.js';

/** As in bin/gpt.js: from this one on, pairs of SIMD instructions are fused. */
const FAST = 24;

const folder = fileURLToPath(new URL('.', import.meta.url));
/** Not a test that imports a function of a benchmark. */
const isBenchmark =
  process.argv[1] !== undefined &&
  existsSync(process.argv[1]) &&
  `${dirname(realpathSync(process.argv[1]))}/` === folder;

if (isBenchmark) {
  const bundled = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
  if (Number.parseInt(process.versions.node) < FAST && existsSync(bundled)) {
    const { status, error } = spawnSync(bundled, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: 'inherit',
    });
    if (error !== undefined) throw error;
    process.exit(status ?? 1);
  }
  process.on('uncaughtException', (error) => {
    fail(error);
    process.exit();
  });
}
