/** Processes that a launcher such as mpirun started together: rank 0 is the command line, the others follow it. */
import { rankName, type Communicator } from '../collective/communicator.ts';
import { detectLaunch } from '../collective/launch.ts';
import type { MpiCommunicator } from '../collective/mpi/connect.ts';
import { lazyBackend } from '../engine/backend.ts';
import { chooseDevice, leaveDeviceToRun, type DeviceChoice } from '../engine/device-choice.ts';
import { defaultThreads } from '../engine/wasm.ts';
import { follow } from '../train/ranks/follow.ts';
import { receiveMessage, sendMessage, TAG } from '../train/ranks/messages.ts';
import { connect, disconnect } from './connected-ranks.ts';
import { formatCountOf } from '../format.ts';
import { stopSignals } from './interrupt.ts';
import { printable, warn } from './terminal.ts';

/** Options that all ranks need. Rank 0 sends them, since it alone reads --config. */
interface RankFlags {
  readonly threads?: number | undefined;
  readonly device?: DeviceChoice | undefined;
  readonly rankTimeout: number;
}

/** The ranks of this run; undefined for a process of its own. */
export async function joinRanks(flags: RankFlags): Promise<MpiCommunicator | undefined> {
  const launch = detectLaunch(process.env);
  if (launch === undefined) return undefined;
  const ranks = await connect(launch);
  if (ranks.size === 1) {
    await disconnect();
    return undefined;
  }
  if (ranks.rank === 0)
    await Promise.all(others(ranks).map((rank) => sendMessage(ranks, rank, TAG.command, flags)));
  ranks.timeout = flags.rankTimeout;
  return ranks;
}

/**
 * Warns that the launcher leaves processors unused, as mpirun does by default.
 *
 * @param threads per rank, if given
 */
export function warnOfBinding({ binding, hosts }: MpiCommunicator, threads = Infinity): void {
  const launcher = detectLaunch(process.env)?.launcher;
  if (launcher !== 'openmpi' && launcher !== 'hydra') return; // slurmstepd may not be confined to the job's processors
  if (binding === undefined || binding.share >= threads) return;
  const { rank, processors, launchers, unused } = binding;
  warn(
    `${printable(rankName(hosts, rank))} is bound to ${processors} of ${formatCountOf(launchers, 'processor')}, ` +
      `and no rank may use ${unused} of them; mpirun --bind-to none lets the ranks use all of them`,
  );
}

const others = ({ size }: Communicator): number[] => Array.from({ length: size - 1 }, (_, i) => i + 1);

/**
 * Runs a rank other than 0 until rank 0 ends the run.
 *
 * @param own options given to this rank itself, such as the number of threads on its host
 */
export async function followRank0(
  ranks: Communicator,
  own: Pick<RankFlags, 'threads' | 'device'>,
): Promise<void> {
  ranks.timeout = 0; // rank 0 may be silent for a long time while it reads a large text
  const { head } = await receiveMessage<RankFlags>(ranks, 0, TAG.command);
  ranks.timeout = head.rankTimeout;
  const device = own.device ?? head.device;
  if (device === undefined) await leaveDeviceToRun();
  else if (own.device === undefined) await chooseDevice(device);
  const threads = own.threads ?? head.threads ?? defaultThreads(ranks.threads);
  const engine = lazyBackend({ threads, profile: false });
  await follow(ranks, engine, ignoreSignals);
  await disconnect();
  await engine.close();
}

/**
 * From set-up on, rank 0 saves when a signal arrives, for which it needs the other ranks, and then ends them. Launchers signal
 * all ranks, often twice. Until set-up, a signal ends each rank.
 */
function ignoreSignals(): void {
  for (const signal of stopSignals) process.on(signal, () => {});
}
