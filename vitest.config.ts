import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { pooledEngines } from './test/pooled-engines.ts';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const include = ['test/**/*.test.ts'];
const exclude = ['test/interop/**', 'test/browser/**', 'test/webgpu/**'];
const files = globSync(include, { exclude, cwd: path('.') });
/** These get modules of their own: a mocked module must not reach other files. */
const mocking = files.filter((file) => /vi\.(mock|hoisted)\(/.test(readFileSync(path(file), 'utf8')));

export default defineConfig({
  plugins: [pooledEngines],
  test: {
    globalSetup: 'test/temporary-folder.ts',
    setupFiles: 'test/setup.ts',
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        // Files that share a process load each module once.
        test: { name: 'shared', include, exclude: [...exclude, ...mocking], isolate: false },
      },
      { extends: true, test: { name: 'mocking', include: mocking, isolate: true } },
    ],
  },
});
