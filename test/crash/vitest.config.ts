import { defineConfig } from 'vitest/config';

/** What `npm run test:crash` runs: processes that are killed, and disks that fail. */
export default defineConfig({
  test: {
    include: ['test/crash/*.crash.ts'],
    globalSetup: 'test/temporary-folder.ts',
    maxWorkers: '100%', // by default one core is left idle
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
