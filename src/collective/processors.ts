/** How ranks share the processors of their hosts. Launchers bind ranks to some of them, or not at all. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Where a rank runs. */
export interface Place {
  readonly host: string;
  /** The processors that it may run on, as Linux lists them: `0-3,8`. */
  readonly processors: string;
  /** How many of them at a time: a container may have a quota. */
  readonly most: number;
}

export const placeOn = (host: string): Place => ({
  host,
  processors: allowedProcessors(),
  most: availableParallelism(),
});

/** In characters: room for more than 1,000 processors in a message of fixed length. */
const LONGEST_LIST = 4000;

function allowedProcessors(): string {
  const all = `0-${availableParallelism() - 1}`;
  if (process.platform !== 'linux') return all;
  try {
    const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return list === undefined || list.length > LONGEST_LIST ? all : list;
  } catch {
    return all;
  }
}

/** Threads for each rank, so that no processor has more than one: ranks that may run on the same processors share them. */
export function threadsByRank(places: readonly Place[]): number[] {
  const threads = places.map(() => 1);
  for (const ranks of Map.groupBy(places.keys(), (rank) => places[rank].host).values()) {
    const lists = ranks.map((rank) => processorsIn(places[rank].processors));
    const sharers = new Map<number, number>();
    for (const processor of lists.flat()) sharers.set(processor, (sharers.get(processor) ?? 0) + 1);
    for (const [i, rank] of ranks.entries()) {
      const share = lists[i].reduce((sum, processor) => sum + 1 / sharers.get(processor)!, 0);
      const { most } = places[rank];
      const quota = most < lists[i].length ? most / ranks.length : most;
      threads[rank] = Math.max(1, Math.floor(Math.min(share, quota) + ROUNDING));
    }
  }
  return threads;
}

/** Three thirds are one processor. */
const ROUNDING = 1e-6;

/** `0-3,8` is 0, 1, 2, 3, 8. */
function processorsIn(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
