import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    globalSetup: 'test/temporary-folder.ts',
    maxWorkers: '100%', // by default one core is left idle
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
