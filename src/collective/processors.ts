/** Divides the processors of each host among its ranks. Launchers may bind ranks to some of them. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Where a rank runs. */
export interface Place {
  readonly host: string;
  /** The processors that it may run on, as Linux lists them: `0-3,8`. */
  readonly processors: string;
  /** How many of them it may use at a time: a container may have a quota. */
  readonly most: number;
  /** How many processors the launcher itself may run on, before any binding of its ranks; undefined if unknown. */
  readonly launchers?: number | undefined;
}

export const placeOn = (host: string): Place => ({
  host,
  processors: allowedProcessors('self') ?? `0-${availableParallelism() - 1}`,
  most: availableParallelism(),
  launchers: launchersProcessors(),
});

/** In characters: room for more than 1,000 processors in a message of fixed length. */
const LONGEST_LIST = 4000;

/** As Linux lists them; undefined on other systems. */
function allowedProcessors(pid: number | 'self'): string | undefined {
  const list = statusOf(pid, 'Cpus_allowed_list');
  return list === undefined || list.length > LONGEST_LIST ? undefined : list;
}

/** Launchers bind their children, not themselves. A shell or bin/gpt.js may be between the launcher and this process. */
function launchersProcessors(): number | undefined {
  let pid = process.ppid;
  while (isOfRank(pid)) pid = Number(statusOf(pid, 'PPid'));
  const list = allowedProcessors(pid);
  return list === undefined ? undefined : processorsIn(list).length;
}

function isOfRank(pid: number): boolean {
  try {
    return /(?:^|\0)(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=/.test(readFileSync(`/proc/${pid}/environ`, 'latin1'));
  } catch {
    return false;
  }
}

/** A field of /proc/PID/status; undefined if it cannot be read. */
function statusOf(pid: number | 'self', field: string): string | undefined {
  try {
    return new RegExp(`^${field}:\\s*(\\S+)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** Threads for each rank, so that no processor has more than one: ranks that may run on the same processors share them. */
export function threadsByRank(places: readonly Place[]): number[] {
  const threads = places.map(() => 1);
  for (const ranks of Map.groupBy(places.keys(), (rank) => places[rank].host).values()) {
    const lists = ranks.map((rank) => processorsIn(places[rank].processors));
    for (const [i, share] of sharesOf(lists).entries()) {
      const { most } = places[ranks[i]];
      const quota = most < lists[i].length ? most / ranks.length : most;
      threads[ranks[i]] = Math.max(1, Math.floor(Math.min(share, quota)));
    }
  }
  return threads;
}

/** Each rank's share of a host; a processor allowed to n ranks counts as 1/n. @param lists allowed processors by rank */
function sharesOf(lists: readonly (readonly number[])[]): number[] {
  const sharers = new Map<number, number>();
  for (const processor of lists.flat()) sharers.set(processor, (sharers.get(processor) ?? 0) + 1);
  return lists.map((list) => list.reduce((sum, processor) => sum + 1 / sharers.get(processor)!, ROUNDING));
}

/** A rank that its launcher has bound to fewer processors than an equal share of the host. */
export interface Binding {
  readonly rank: number;
  /** Number of processors that it may run on. */
  readonly processors: number;
  /** Its share of them, if other ranks may run on them too. */
  readonly share: number;
  /** Number of processors that the launcher may run on, and how many of these no rank may use. */
  readonly launchers: number;
  readonly unused: number;
}

/** The first such rank; undefined if the ranks of each host use all of its processors or are limited by a quota. */
export function narrowestBinding(places: readonly Place[]): Binding | undefined {
  for (const ranks of Map.groupBy(places.keys(), (rank) => places[rank].host).values()) {
    const launchers = Math.max(...ranks.map((rank) => places[rank].launchers ?? 0));
    const lists = ranks.map((rank) => processorsIn(places[rank].processors));
    const unused = launchers - new Set(lists.flat()).size;
    if (unused <= 0 || ranks.some((rank, i) => places[rank].most < lists[i].length)) continue;
    const shares = sharesOf(lists);
    const share = Math.min(...shares);
    if (share >= Math.floor(launchers / ranks.length)) continue;
    const least = shares.indexOf(share);
    return { rank: ranks[least], processors: lists[least].length, share, launchers, unused };
  }
  return undefined;
}

/** Makes up for rounding: three thirds must count as one processor. */
const ROUNDING = 1e-6;

/** `0-3,8` is 0, 1, 2, 3, 8. */
function processorsIn(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
