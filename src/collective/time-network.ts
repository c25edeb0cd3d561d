/** Times messages between ranks. */
import { median } from '../median.ts';
import type { Communicator } from './communicator.ts';

/** Times of messages of one size. */
export interface MessageTime {
  readonly bytes: number;
  /** Half the round-trip time of a message and a reply of the same size. */
  readonly seconds: number;
  /** Time of a message while another is sent in the opposite direction, as when ranks exchange gradients. */
  readonly exchangeSeconds: number;
}

/** Measurements between rank 0 and one other rank. */
export interface LinkTimes {
  readonly rank: number;
  readonly host: string;
  /** The rank is on rank 0's host, so that messages pass through memory. */
  readonly isLocal: boolean;
  readonly times: readonly MessageTime[];
}

/** In bytes, from messages dominated by latency to messages dominated by bandwidth. */
const SIZES = [1, 2 ** 10, 2 ** 13, 2 ** 16, 2 ** 19, 2 ** 22, 2 ** 24];
const TAG = 1;
/** Limits on the repetitions of a measurement, whatever time they take. */
const [FEWEST, MOST] = [3, 500];

/** Run before the first measurement, so that V8 compiles the code that sends and receives. */
const WARM_UP = { bytes: 1, repetitions: 300 };

/** Rank 0's command to another rank. Zero repetitions end the measurements. */
interface Command {
  readonly bytes: number;
  readonly repetitions: number;
  readonly bothWays: boolean;
}

/** The ranks that rank 0 is timed with: one on its own host, and the first on each other host. */
export function linksToTime(hosts: readonly string[]): number[] {
  const seen = new Set<string>();
  return hosts.flatMap((host, rank) => {
    if (rank === 0 || seen.has(host)) return [];
    seen.add(host);
    return [rank];
  });
}

/**
 * Collective: all ranks must call it. @returns the times at rank 0, an empty list elsewhere
 *
 * @param seconds approximate time for each link
 * @param progress called before a link is timed
 */
export async function timeNetwork(
  all: Communicator,
  seconds: number,
  progress: (host: string) => void = () => {},
): Promise<LinkTimes[]> {
  if (all.rank > 0) {
    await answer(all);
    return [];
  }
  const links: LinkTimes[] = [];
  for (const rank of linksToTime(all.hosts)) {
    const host = all.hosts[rank];
    progress(host);
    for (const bothWays of [false, true]) await timeRounds(all, rank, { ...WARM_UP, bothWays });
    const times: MessageTime[] = [];
    for (const bytes of SIZES) times.push(await timeSize(all, rank, bytes, seconds / SIZES.length));
    links.push({ rank, host, isLocal: host === all.hosts[0], times });
  }
  const over = encode({ bytes: 0, repetitions: 0, bothWays: false });
  for (let rank = 1; rank < all.size; rank++) await all.send(rank, TAG, over);
  return links;
}

async function timeSize(
  all: Communicator,
  rank: number,
  bytes: number,
  seconds: number,
): Promise<MessageTime> {
  const timed = async (bothWays: boolean): Promise<number> => {
    const [first] = await timeRounds(all, rank, { bytes, repetitions: 1, bothWays }); // opens connections
    const wanted = Math.round(seconds / 2 / first);
    const repetitions = Math.min(MOST, Math.max(FEWEST, wanted));
    return median(await timeRounds(all, rank, { bytes, repetitions, bothWays }));
  };
  return { bytes, seconds: (await timed(false)) / 2, exchangeSeconds: await timed(true) };
}

/** Seconds of each round: a message and its reply, or both at once. */
async function timeRounds(all: Communicator, rank: number, command: Command): Promise<number[]> {
  const { bytes, repetitions, bothWays } = command;
  const [data, into] = [new Uint8Array(bytes), new Uint8Array(bytes)];
  await all.send(rank, TAG, encode(command));
  await all.receive(rank, TAG, new Uint8Array(0)); // it is ready
  const rounds: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    const start = performance.now();
    if (bothWays) await Promise.all([all.receive(rank, TAG, into), all.send(rank, TAG, data)]);
    else {
      await all.send(rank, TAG, data);
      await all.receive(rank, TAG, into);
    }
    rounds.push((performance.now() - start) / 1000);
  }
  return rounds;
}

/** The other side of `timeRounds`, until rank 0 ends it. */
async function answer(all: Communicator): Promise<void> {
  for (;;) {
    const message = encode({ bytes: 0, repetitions: 0, bothWays: false });
    await all.receive(0, TAG, message);
    const { bytes, repetitions, bothWays } = decode(message);
    if (repetitions === 0) return;
    const [data, into] = [new Uint8Array(bytes), new Uint8Array(bytes)];
    await all.send(0, TAG, new Uint8Array(0));
    for (let i = 0; i < repetitions; i++) {
      if (bothWays) await Promise.all([all.receive(0, TAG, into), all.send(0, TAG, data)]);
      else {
        await all.receive(0, TAG, into);
        await all.send(0, TAG, data);
      }
    }
  }
}

const encode = ({ bytes, repetitions, bothWays }: Command): Uint8Array =>
  new Uint8Array(Float64Array.of(bytes, repetitions, Number(bothWays)).buffer);

function decode(message: Uint8Array): Command {
  const [bytes, repetitions, bothWays] = new Float64Array(message.buffer);
  return { bytes, repetitions, bothWays: bothWays === 1 };
}
