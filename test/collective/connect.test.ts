/** The world that the library sees is compared with what the launcher has started. */
import { expect, test } from 'vitest';
import type { Launch } from '../../src/collective/launch.ts';
import { checkWorld } from '../../src/collective/mpi/connect.ts';
import { failure } from '../fixtures/failure.ts';

const launch: Launch = { launcher: 'openmpi', rank: 1, size: 4 };

test('a library that sees the launch is used', () => {
  checkWorld(launch, { rank: 1, size: 4 }, 'Open MPI v5');
  checkWorld({ ...launch, size: undefined }, { rank: 1, size: 9 }, 'Open MPI v5');
});

test.each([
  { world: { rank: 0, size: 1 }, mentioned: ['4 ranks', 'MPICH 4', 'sees 1'] },
  { world: { rank: 0, size: 4 }, mentioned: ['rank 1', 'MPICH 4', 'rank 0'] },
])('$world is not', ({ world, mentioned }) => {
  expect(() => checkWorld(launch, world, 'MPICH 4')).toThrow(failure('mpi-unavailable', ...mentioned));
});
