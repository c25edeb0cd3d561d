import { defineConfig } from 'vitest/config';

/** What `npm run test:examples` runs: the numbers of docs/understanding, computed again by a model that is trained for them. */
export default defineConfig({
  test: {
    include: ['test/docs/*.slow.ts'],
    globalSetup: 'test/temporary-folder.ts',
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
