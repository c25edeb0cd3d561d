import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { MpiCommunicator } from '../../src/collective/mpi/connect.ts';
import { warnOfBinding } from '../../src/cli/ranks.ts';

const written = vi.spyOn(process.stderr, 'write');
beforeEach(() => {
  written.mockReset().mockReturnValue(true);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const binding = { rank: 1, processors: 2, share: 2, launchers: 16, unused: 12 };
const connected = (bound: MpiCommunicator['binding']) =>
  ({ binding: bound, hosts: ['a', 'b'] }) as unknown as MpiCommunicator;

test('a launcher that leaves processors unused is warned of, unless the ranks need no more', () => {
  vi.stubEnv('OMPI_COMM_WORLD_RANK', '0');
  vi.stubEnv('OMPI_COMM_WORLD_SIZE', '2');
  warnOfBinding(connected(undefined));
  warnOfBinding(connected(binding), 2);
  expect(written).not.toHaveBeenCalled();
  for (const threads of [undefined, 3]) warnOfBinding(connected(binding), threads);
  expect(written).toHaveBeenCalledTimes(2);
  expect(written.mock.calls[0][0]).toMatch(
    /rank 1 on b is bound to 2 of 16 processors, .* 12 of them; mpirun --bind-to none/,
  );
});

test('srun is not, which may itself run outside of the processors of the job', () => {
  vi.stubEnv('SLURM_STEP_ID', '0');
  vi.stubEnv('SLURM_PROCID', '0');
  vi.stubEnv('SLURM_STEP_NUM_TASKS', '2');
  warnOfBinding(connected(binding));
  expect(written).not.toHaveBeenCalled();
});
