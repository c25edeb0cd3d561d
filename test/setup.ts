/** What vitest runs in every file of tests, also in those that share their modules. */
import { afterAll, afterEach, vi } from 'vitest';
import { returnBackends } from './fixtures/returned-backends.ts';

const home = process.cwd();

afterEach(returnBackends);
afterAll(() => {
  process.chdir(home);
  vi.unstubAllEnvs();
});
