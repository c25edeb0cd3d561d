/**
 * What differs between MPI libraries: the values and sizes of handles, and the layout of a status. A wrong handle crashes
 * the process, so only libraries with one of these ABIs are used.
 */

/** A constant of the header, or a symbol of the library whose address is the handle. */
export type Handle = number | { readonly symbol: string };

export interface Abi {
  readonly name: string;
  /** Type of handles in calls. */
  readonly handle: 'int32' | 'pointer';
  /** In bytes. */
  readonly handleSize: 4 | 8;
  /** Size of MPI_Status in bytes. */
  readonly statusSize: number;
  readonly world: Handle;
  readonly byte: Handle;
  readonly errorsReturn: Handle;
  readonly threadFunneled: number;
}

/**
 * The ABI of the MPI standard: MPI 5.0, chapter 20 and appendix A; `mpi_abi.h`. Any library that has it is named
 * `libmpi_abi.so.1`.
 */
export const standardAbi: Abi = {
  name: 'MPI-5 ABI',
  handle: 'pointer',
  handleSize: 8,
  statusSize: 32,
  world: 0x101,
  byte: 0x247,
  errorsReturn: 0x143,
  threadFunneled: 1024,
};

/** `mpi.h` of Open MPI, the same in 3.0 to 5.0: handles are addresses of objects in the library. */
export const openMpiAbi: Abi = {
  name: 'Open MPI',
  handle: 'pointer',
  handleSize: 8,
  statusSize: 24,
  world: { symbol: 'ompi_mpi_comm_world' },
  byte: { symbol: 'ompi_mpi_byte' },
  errorsReturn: { symbol: 'ompi_mpi_errors_return' },
  threadFunneled: 1,
};

/**
 * `mpi.h` of MPICH since 3.1 and of libraries with its ABI (https://www.mpich.org/abi): Intel MPI, MVAPICH, Cray MPICH,
 * ParaStation MPI. Handles are integers.
 */
export const mpichAbi: Abi = {
  name: 'MPICH ABI',
  handle: 'int32',
  handleSize: 4,
  statusSize: 20,
  world: 0x44000000,
  byte: 0x4c00010d,
  errorsReturn: 0x54000001,
  threadFunneled: 1,
};

/** Implementations; launcher and library must be of the same one. */
export type Family = 'openmpi' | 'mpich';

/** The implementation, from the output of MPI_Get_library_version; undefined if unknown. */
export function familyOf(version: string): Family | undefined {
  if (version.startsWith('Open MPI v')) return 'openmpi';
  if (
    /^(MPICH Version|Intel\(R\) MPI Library|MVAPICH2? Version|MPI VERSION\s*: CRAY MPICH|ParaStationMPI)/i.test(
      version,
    )
  )
    return 'mpich';
  return undefined;
}
