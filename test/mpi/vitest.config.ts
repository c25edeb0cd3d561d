import { defineConfig } from 'vitest/config';

/** What `npm run test:mpi` runs: several processes as one, under the launchers of Open MPI and MPICH. */
export default defineConfig({
  test: {
    include: ['test/mpi/*.mpi.ts'],
    globalSetup: ['test/temporary-folder.ts', 'test/mpi/install.ts'],
    // More ranks than cores are tested anyway; two files at a time would only make them slower.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
