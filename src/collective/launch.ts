/** Detects from the environment which launcher started this process as one of several. */

type Environment = Readonly<Record<string, string | undefined>>;

/** Kinds of launchers; the MPI library must match. */
export type Launcher = 'openmpi' | 'hydra' | 'slurm' | 'pmix';

export interface Launch {
  readonly launcher: Launcher;
  readonly rank: number;
  /** Number of ranks; undefined if only the library knows it, as under PMIx. */
  readonly size: number | undefined;
}

/** How errors and tables name a launcher. */
export const launcherNames: Readonly<Record<Launcher, string>> = {
  openmpi: "Open MPI's mpirun",
  hydra: "MPICH's mpiexec (Hydra)",
  slurm: "Slurm's srun",
  pmix: 'a launcher with PMIx',
};

/**
 * The launch of this process; undefined if it was started alone.
 *
 * The order matters: mpirun starts its daemons through srun inside a Slurm job, so that their children inherit the variables
 * of a step that is not theirs.
 */
export function detectLaunch(environment: Environment): Launch | undefined {
  const launch =
    fromOpenMpi(environment) ?? fromSlurm(environment) ?? fromHydra(environment) ?? fromPmix(environment);
  return launch?.size === 1 ? undefined : launch;
}

/** Open MPI's mpirun, mpiexec and prterun. */
function fromOpenMpi(environment: Environment): Launch | undefined {
  const [rank, size] = [
    count(environment['OMPI_COMM_WORLD_RANK']),
    count(environment['OMPI_COMM_WORLD_SIZE']),
  ];
  if (rank === undefined || size === undefined) return undefined;
  return { launcher: 'openmpi', rank, size };
}

/** MPICH's mpiexec, and those of Intel MPI and MVAPICH, which derive from it. */
function fromHydra(environment: Environment): Launch | undefined {
  const [rank, size] = [count(environment['PMI_RANK']), count(environment['PMI_SIZE'])];
  if (rank === undefined || size === undefined) return undefined;
  return { launcher: 'hydra', rank, size };
}

/** Slurm step ids from here on are not srun's but those of the batch script, an interactive shell, and the like. */
const FIRST_SPECIAL_STEP = 0xffff_fff0;

/**
 * Slurm's srun. A batch script has SLURM_NTASKS and SLURM_PROCID as well, but runs once: only srun makes a step and counts
 * its tasks. With PMI-2, srun sets PMI_RANK as Hydra does.
 */
function fromSlurm(environment: Environment): Launch | undefined {
  const step = count(environment['SLURM_STEP_ID'] ?? environment['SLURM_STEPID']);
  const [rank, size] = [count(environment['SLURM_PROCID']), count(environment['SLURM_STEP_NUM_TASKS'])];
  if (step === undefined || step >= FIRST_SPECIAL_STEP || rank === undefined || size === undefined)
    return undefined;
  const isHydras = environment['MPI_LOCALNRANKS'] !== undefined;
  if (isHydras) return undefined;
  return { launcher: 'slurm', rank, size };
}

/** Any other launcher with PMIx: the number of ranks is not in the environment. */
function fromPmix(environment: Environment): Launch | undefined {
  const rank = count(environment['PMIX_RANK']);
  if (rank === undefined || environment['PMIX_NAMESPACE'] === undefined) return undefined;
  return { launcher: 'pmix', rank, size: undefined };
}

/** A whole number of at least 0, or undefined. */
const count = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
