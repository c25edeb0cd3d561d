import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { pooledEngines } from '../pooled-engines.ts';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Gives the tests of every backend this suite's only one. */
const gpuAsBackend = {
  name: 'gpu-as-backend',
  enforce: 'pre' as const,
  resolveId: (source: string) => (source.endsWith('/fixtures/backends.ts') ? path('backends.ts') : undefined),
};

/** Tests of every backend, which `npm test` runs on the other ones; in these files only those of this backend. */
const shared = {
  include: [
    'test/autodiff/golden.test.ts',
    'test/autodiff/ops/attention.test.ts',
    'test/engine/{q8,storage,target-rank}.test.ts',
    'test/train/{golden,lora,micro-batches,muon}.test.ts',
  ],
  testNamePattern: /webgpu/,
};

/** On a GPU or SwiftShader, see run.sh. */
export default defineConfig({
  plugins: [gpuAsBackend, pooledEngines],
  test: {
    globalSetup: 'test/temporary-folder.ts',
    setupFiles: 'test/setup.ts',
    isolate: false, // shaders are compiled once in each process
    maxWorkers: 2,
    testTimeout: 300_000, // a software adapter on two busy cores takes up to two minutes for a test
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'webgpu', include: ['test/webgpu/*.test.ts'] } },
      { extends: true, test: { name: 'shared', ...shared } },
    ],
  },
});
