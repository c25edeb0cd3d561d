/**
 * Imported by every benchmark: like `gpt`, it switches to the Node of the installation if the current one is too old; and a
 * benchmark that cannot run ends without a stack trace. `--help` prints the comment at the top of the benchmark.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail } from './failure.js';

/** As in bin/gpt.js: from this one on, pairs of SIMD instructions are fused. */
const FAST = 24;

const folder = fileURLToPath(new URL('.', import.meta.url));
/**
 * The bundled Node if this version is too old and it is installed.
 *
 * @param {string} version
 * @param {string} bundled its path
 * @returns {string | undefined}
 */
export const otherNode = (version, bundled) =>
  Number.parseInt(version) < FAST && existsSync(bundled) ? bundled : undefined;

/** The comment at the top of a benchmark: what it measures and how it is called. */
function helpOf(file) {
  const [, comment] = /^\/\*\*(.*?)\*\//su.exec(readFileSync(file, 'utf8'));
  return comment.replaceAll(/^ \* ?/gmu, '').trim();
}

/** False in a test that imports a function of a benchmark. */
const isBenchmark =
  process.argv[1] !== undefined &&
  existsSync(process.argv[1]) &&
  `${dirname(realpathSync(process.argv[1]))}/` === folder;

if (isBenchmark) {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(`${helpOf(process.argv[1])}\n`);
    process.exit();
  }
  process.on('uncaughtException', (error) => {
    fail(error);
    process.exit();
  });
  // In a checkout, where npm links it; bin/gpt.js finds it wherever a package manager has put it.
  const bundled = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
  const node = otherNode(process.versions.node, bundled);
  if (node !== undefined) {
    const { status, error } = spawnSync(node, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: 'inherit',
    });
    if (error !== undefined) throw error;
    process.exit(status ?? 1);
  }
}
