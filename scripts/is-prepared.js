/**
 * Exits with 0 if `prepare` has nothing to do. The first `npx gpt` in a checkout installs the checkout into the cache of npx, for
 * which npm runs `prepare` again although `npm ci` has built everything.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const isThere = (path) => existsSync(fileURLToPath(new URL(`../${path}`, import.meta.url)));

// The first and the last file that prepare:all writes.
const isPrepared = ['dist/cli/main.js', 'data/dialogues-heldout.jsonl'].every(isThere);
process.exitCode = process.env.npm_command === 'exec' && isPrepared ? 0 : 1;
