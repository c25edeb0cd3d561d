/**
 * Learning the merges of byte pair encoding (Sennrich, Haddow & Birch 2016, algorithm 1): again and again, the most frequent
 * pair of neighbours becomes a token. Of equally frequent pairs the one with the smaller ids goes first, which gives the
 * merges of Hugging Face's `BpeTrainer`.
 *
 * A merge changes the counts of pairs only where it is made, so each pair knows its occurrences, and a heap the most frequent
 * pair. Counts in the heap may be out of date: they are looked up when a pair comes to the top. Each merge of two tokens
 * makes at most two new occurrences, so learning from n bytes takes O(n log n), whether they are many words or a single one.
 */
import type { Merge } from './bpe-merging.ts';
import { Heap } from './heap.ts';
import { PairTable } from '../pair-table.ts';

/** Pieces of text as tokens: word w is `ids` from `starts[w]` up to `starts[w + 1]`, and occurs `counts[w]` times. */
export interface Words {
  readonly ids: Int32Array;
  readonly starts: Uint32Array;
  readonly counts: readonly number[];
}

interface Candidate {
  readonly pair: number;
  readonly left: number;
  readonly right: number;
  count: number;
  /** Where its left token was when it was counted, in ascending order. Merges made since may have taken either token. */
  readonly places: number[];
}

const isBefore = (a: Candidate, b: Candidate): boolean =>
  a.count !== b.count ? a.count > b.count : a.left !== b.left ? a.left < b.left : a.right < b.right;

/**
 * @param words their ids are overwritten
 * @param tokens the tokens there are, in the order of ids; those learned are added
 * @param maxSize how many tokens there may be in the end
 * @param minFrequency pairs that occur less often are not joined
 * @param learned called with about the share of the work that is done, 0 … 1. Counts of pairs fall with their rank as Zipf's
 *   law says, like 1/n, and with them what a merge takes: n of N merges are ln(n)/ln(N) of the work
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
  const heap = new Heap<Candidate>(isBefore);
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

/** All words as doubly linked lists of tokens: a joined pair has its token where the left one was. */
interface LinkedTokens {
  /** −1 where a token has become a part of the one before it. */
  readonly ids: Int32Array;
  /** The places of a token's neighbours within its word, or −1. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** How often the word at a place occurs. */
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

/** Joins a pair, if it is still there. */
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

/** How often each pair occurs, and where it has become more frequent. */
class PairCounts {
  /** By the number of a pair. */
  readonly counts: number[] = [];
  readonly #pairs = new PairTable();
  #risen = new Map<number, Candidate>();

  change(left: number, right: number, count: number, place: number): void {
    const pair = this.#pairs.add(left, right);
    this.counts[pair] = (this.counts[pair] ?? 0) + count;
    if (count < 0) return;
    const candidate = this.#risen.get(pair);
    if (candidate === undefined) this.#risen.set(pair, { pair, left, right, count: 0, places: [place] });
    else candidate.places.push(place);
  }

  /** The pairs whose counts have risen since the last call, with the places where they have. */
  takeRisen(): Candidate[] {
    const risen = [...this.#risen.values()];
    this.#risen = new Map();
    for (const candidate of risen) candidate.count = this.counts[candidate.pair];
    return risen.filter(({ count }) => count > 0);
  }
}
