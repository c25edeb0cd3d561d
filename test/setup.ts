/** What vitest runs in every file of tests, also in those that share their modules. */
import { afterAll, afterEach, beforeEach, vi } from 'vitest';
import { fileEnds, testBegins, testEnds } from './fixtures/returned-backends.ts';

const home = process.cwd();

beforeEach(testBegins);
afterEach(testEnds);
afterAll(() => {
  fileEnds();
  process.chdir(home);
  vi.unstubAllEnvs();
});
