/** Processes that a launcher such as mpirun started together: rank 0 is the command line, the others follow it. */
import type { Communicator } from '../collective/communicator.ts';
import { detectLaunch } from '../collective/launch.ts';
import { lazyBackend } from '../engine/backend.ts';
import { defaultThreads } from '../engine/wasm.ts';
import { follow } from '../train/ranks/follow.ts';

interface RankFlags {
  readonly threads?: number | undefined;
  readonly rankTimeout: number;
}

/** The ranks of this run; undefined for a process of its own. Nothing of MPI is loaded for that. */
export async function joinRanks({ rankTimeout }: RankFlags): Promise<Communicator | undefined> {
  const launch = detectLaunch(process.env);
  if (launch === undefined) return undefined;
  const { connectMpi } = await import('../collective/mpi/connect.ts');
  const ranks = await connectMpi(launch, process.env);
  ranks.timeout = rankTimeout;
  if (ranks.size > 1) return ranks;
  await ranks.close();
  return undefined;
}

/** Runs a rank other than 0 until rank 0 ends the run. Signals reach all ranks; rank 0 saves, and tells the others when to end. */
export async function followRank0(flags: RankFlags): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => {});
  const ranks = (await joinRanks(flags))!;
  const engine = lazyBackend({ threads: flags.threads ?? defaultThreads(ranks.threads), profile: false });
  await follow(ranks, engine);
  await ranks.close();
  await engine.close();
}
