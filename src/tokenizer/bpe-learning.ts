/**
 * Training of byte pair encoding (Sennrich, Haddow & Birch 2016, algorithm 1): the most frequent pair of adjacent tokens
 * becomes a token, repeatedly. Ties go to the pair with the smaller ids, which yields the merges of Hugging Face's
 * `BpeTrainer`.
 *
 * A merge changes pair counts only where it is applied, so each pair keeps a list of its occurrences, and a heap yields the
 * most frequent pair. Counts in the heap may be stale; they are checked when a pair reaches the top. A merge creates at
 * most two new occurrences per place, so training on n bytes takes O(n log n), for many short words or a single long one.
 */
import type { Merge } from './bpe-merging.ts';
import { Heap } from './heap.ts';
import { PairTable } from '../pair-table.ts';

/**
 * Distinct pieces of the text as tokens: word w is `ids[starts[w]]` … `ids[starts[w + 1] - 1]` and occurs `counts[w]`
 * times.
 */
export interface Words {
  readonly ids: Int32Array;
  readonly starts: Uint32Array;
  readonly counts: readonly number[];
}

interface MergeCandidate {
  readonly pair: number;
  readonly left: number;
  readonly right: number;
  count: number;
  /** Positions of the left token when they were counted, ascending. Later merges may have consumed either token. */
  readonly places: number[];
}

const isBefore = (a: MergeCandidate, b: MergeCandidate): boolean =>
  a.count !== b.count ? a.count > b.count : a.left !== b.left ? a.left < b.left : a.right < b.right;

/**
 * @param words its ids are overwritten
 * @param tokens the initial tokens by id; learned tokens are appended
 * @param maxSize upper limit for the number of tokens
 * @param minFrequency pairs that occur less often are not merged
 * @param learned called with an estimate of the share done, 0 … 1. By Zipf's law the n-th pair occurs about 1/n times as
 * often as the first, and the cost of a merge is its number of occurrences, so n of N merges are ln(n)/ln(N) of the work
 */
export function learnMerges(
  words: Words,
  tokens: string[],
  {
    maxSize,
    minFrequency,
    learned = () => {},
  }: { maxSize: number; minFrequency: number; learned?: ((done: number) => void) | undefined },
): Merge[] {
  const most = maxSize - tokens.length;
  learned(0);
  const text = linkedTokens(words);
  const pairs = new PairCounts();
  for (let i = 0; i < text.ids.length; i++)
    if (text.next[i] >= 0) pairs.change(text.ids[i], text.ids[text.next[i]], text.countAt(i), i);
  const heap = new Heap<MergeCandidate>(isBefore);
  for (const candidate of pairs.takeRisen()) heap.push(candidate);

  const merges: Merge[] = [];
  while (tokens.length < maxSize) {
    const top = heap.pop();
    if (top === undefined) break;
    const count = pairs.counts[top.pair];
    if (count !== top.count) {
      top.count = count;
      heap.push(top);
      continue;
    }
    if (count < Math.max(1, minFrequency)) break;
    const merge = { left: top.left, right: top.right, joined: tokens.length };
    tokens.push(tokens[top.left] + tokens[top.right]);
    merges.push(merge);
    for (const at of top.places) mergeAt(text, at, merge, pairs);
    for (const candidate of pairs.takeRisen()) heap.push(candidate);
    learned(Math.log1p(merges.length) / Math.log1p(most));
  }
  return merges;
}

/** All words as doubly linked lists. A merged token takes the position of its left part. */
interface LinkedTokens {
  /** −1 at a position whose token was merged into the one before. */
  readonly ids: Int32Array;
  /** Positions of the adjacent tokens in the same word, or −1. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** Number of occurrences of the word at a position. */
  readonly countAt: (place: number) => number;
}

function linkedTokens({ ids, starts, counts }: Words): LinkedTokens {
  const next = Int32Array.from(ids.keys(), (i) => i + 1);
  const previous = Int32Array.from(ids.keys(), (i) => i - 1);
  const wordOf = new Int32Array(ids.length);
  counts.forEach((_, w) => {
    if (starts[w] === starts[w + 1]) return;
    previous[starts[w]] = -1;
    next[starts[w + 1] - 1] = -1;
    wordOf.fill(w, starts[w], starts[w + 1]);
  });
  return { ids, next, previous, countAt: (place) => counts[wordOf[place]] };
}

/** Applies a merge at a position, unless an earlier one has consumed a token of the pair. */
function mergeAt(
  { ids, next, previous, countAt }: LinkedTokens,
  at: number,
  { left, right, joined }: Merge,
  pairs: PairCounts,
): void {
  const gone = next[at];
  if (ids[at] !== left || gone < 0 || ids[gone] !== right) return;
  const count = countAt(at);
  const [before, after] = [previous[at], next[gone]];
  ids[at] = joined;
  ids[gone] = -1;
  next[at] = after;
  if (before >= 0) {
    pairs.change(ids[before], left, -count, before);
    pairs.change(ids[before], joined, count, before);
  }
  if (after >= 0) {
    previous[after] = at;
    pairs.change(right, ids[after], -count, gone);
    pairs.change(joined, ids[after], count, at);
  }
}

/** Pair counts, and the positions at which pairs have newly appeared. */
class PairCounts {
  /** By pair number. */
  readonly counts: number[] = [];
  readonly #pairs = new PairTable();
  #risen = new Map<number, MergeCandidate>();

  change(left: number, right: number, count: number, place: number): void {
    const pair = this.#pairs.add(left, right);
    this.counts[pair] = (this.counts[pair] ?? 0) + count;
    if (count < 0) return;
    const candidate = this.#risen.get(pair);
    if (candidate === undefined) this.#risen.set(pair, { pair, left, right, count: 0, places: [place] });
    else candidate.places.push(place);
  }

  /** Pairs that have appeared since the last call, with their new positions and present counts. */
  takeRisen(): MergeCandidate[] {
    const risen = [...this.#risen.values()];
    this.#risen = new Map();
    for (const candidate of risen) candidate.count = this.counts[candidate.pair];
    return risen.filter(({ count }) => count > 0);
  }
}
