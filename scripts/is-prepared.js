/**
 * Succeeds if `prepare` has nothing to do: the first `npx gpt` in a checkout installs it into the cache of npx, and npm then
 * runs `prepare` again, although `npm ci` has built everything.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
process.exitCode = process.env.npm_command === 'exec' && existsSync(built) ? 0 : 1;
