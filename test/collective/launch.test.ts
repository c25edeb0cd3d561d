import { describe, expect, it } from 'vitest';
import { detectLaunch } from '../../src/collective/launch.ts';

/** What a batch script of Slurm has for four tasks on two nodes. */
const batchScript = {
  SLURM_JOB_ID: '17',
  SLURM_NTASKS: '4',
  SLURM_NPROCS: '4',
  SLURM_PROCID: '0',
  SLURM_LOCALID: '0',
  SLURM_NODEID: '0',
  SLURM_TASKS_PER_NODE: '2(x2)',
};
const step = {
  ...batchScript,
  SLURM_STEP_ID: '0',
  SLURM_STEPID: '0',
  SLURM_STEP_NUM_TASKS: '4',
  SLURM_STEP_TASKS_PER_NODE: '3,1',
  SLURM_PROCID: '3',
  SLURM_NODEID: '1',
};
const openMpi = {
  OMPI_COMM_WORLD_RANK: '1',
  OMPI_COMM_WORLD_SIZE: '4',
  OMPI_COMM_WORLD_LOCAL_SIZE: '2',
  PMIX_RANK: '1',
  PMIX_NAMESPACE: 'prterun-host-1@1',
};
const hydra = { PMI_RANK: '2', PMI_SIZE: '3', PMI_FD: '9', MPI_LOCALNRANKS: '3', MPI_LOCALRANKID: '2' };

describe('the launch of a process', () => {
  it.each([
    ["Open MPI's mpirun", openMpi, { launcher: 'openmpi', rank: 1, size: 4 }],
    ["MPICH's mpiexec", hydra, { launcher: 'hydra', rank: 2, size: 3 }],
    ['srun', step, { launcher: 'slurm', rank: 3, size: 4 }],
    [
      'srun with PMI-2',
      { ...step, PMI_RANK: '3', PMI_SIZE: '4', PMI_FD: '5' },
      { launcher: 'slurm', rank: 3, size: 4 },
    ],
    [
      'srun with PMIx',
      { ...step, PMIX_RANK: '3', PMIX_NAMESPACE: 'slurm.pmix.17.0' },
      { launcher: 'slurm', rank: 3, size: 4 },
    ],
    [
      'PMIx of something else',
      { PMIX_RANK: '5', PMIX_NAMESPACE: 'job' },
      { launcher: 'pmix', rank: 5, size: undefined },
    ],
  ])('by %s', (_name, environment, expected) => {
    expect(detectLaunch(environment)).toEqual(expected);
  });

  it("mpirun in a Slurm job counts its own ranks, not the daemons' step", () => {
    const daemons = { ...step, SLURM_STEP_NUM_TASKS: '2' };
    expect(detectLaunch({ ...daemons, ...openMpi })).toMatchObject({ launcher: 'openmpi', size: 4 });
    expect(detectLaunch({ ...daemons, ...hydra })).toMatchObject({ launcher: 'hydra', size: 3 });
  });

  it.each([
    ['a shell', {}],
    ['a batch script of Slurm without srun', batchScript],
    ['a batch script whose step has the special number', { ...step, SLURM_STEP_ID: '4294967291' }],
    ['an interactive shell of salloc', { ...step, SLURM_STEP_ID: '4294967290' }],
    ['mpirun -n 1', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' }],
    ['srun -n 1', { ...step, SLURM_STEP_NUM_TASKS: '1', SLURM_PROCID: '0' }],
    ['variables that are no numbers', { PMI_RANK: 'x', PMI_SIZE: '' }],
  ])('none for %s', (_name, environment) => {
    expect(detectLaunch(environment)).toBeUndefined();
  });
});
