import { describe, expect, it } from 'vitest';
import { familyOf, mpichAbi, openMpiAbi, standardAbi } from '../../src/collective/mpi/abi.ts';
import { libraryCandidates } from '../../src/collective/mpi/candidates.ts';

describe('an MPI library', () => {
  it.each([
    ['Open MPI v5.0.11, package: Open MPI user@localhost Distribution, ident: 5.0.11', 'openmpi'],
    ['Open MPI v4.1.4, package: Debian OpenMPI', 'openmpi'],
    ['MPICH Version:      5.0.2\nMPICH Release date: Fri Sep 25', 'mpich'],
    ['MPICH Version:\t4.0.2\n', 'mpich'],
    ['Intel(R) MPI Library 2021.19 for Linux* OS\n', 'mpich'],
    ['MVAPICH2 Version      :\t2.3.7', 'mpich'],
    ['MVAPICH Version      :\t4.0', 'mpich'],
    ['MPI VERSION    : CRAY MPICH version 8.1.29 (ANL base 3.4a2)', 'mpich'],
    ['A library by Somebody, version 1', undefined],
    ['', undefined],
  ])('%j belongs to %s', (version, family) => {
    expect(familyOf(version)).toBe(family);
  });

  // A handle of the wrong kind is passed in the wrong way, and crashes the process.
  it.each([standardAbi, openMpiAbi, mpichAbi])('$name has handles of one kind', (abi) => {
    const { handle, handleSize, world, byte, errorsReturn, statusSize } = abi;
    expect(handleSize).toBe(handle === 'pointer' ? 8 : 4);
    expect(statusSize % handleSize).toBe(0);
    const kinds = [world, byte, errorsReturn].map((each) =>
      typeof each === 'number' ? 'constant' : 'symbol',
    );
    expect(new Set(kinds).size).toBe(1);
    if (typeof world === 'number') expect(new Set([world, byte, errorsReturn]).size).toBe(3);
  });
});

describe.skipIf(process.platform === 'win32')('the search for a library', () => {
  it("begins beside the launcher, and ends with names for the system's loader", () => {
    const candidates = libraryCandidates('openmpi', { OPAL_PREFIX: '/opt/openmpi', PATH: '' });
    expect(candidates[0]).toMatch(/^\/opt\/openmpi\/lib\/libmpi_abi\./);
    expect(candidates[1]).toMatch(/^\/opt\/openmpi\/lib\/libmpi\..*40/);
    expect(candidates.at(-1)).toMatch(/^libmpi\..*40/);
    expect(candidates.filter((path) => /\b12\b/.test(path))).toEqual([]);
  });

  it('covers both implementations where the launcher may have started either', () => {
    for (const launcher of ['slurm', 'pmix'] as const) {
      const names = libraryCandidates(launcher, { PATH: '' });
      expect(names.some((name) => /\b40\b/.test(name)) && names.some((name) => /\b12\b/.test(name))).toBe(
        true,
      );
    }
    expect(libraryCandidates('hydra', { PATH: '' }).some((name) => /\b40\b/.test(name))).toBe(false);
  });
});
