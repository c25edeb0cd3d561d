/**
 * Learning the merges of byte pair encoding (Sennrich, Haddow & Birch 2016, algorithm 1): again and again, the most frequent
 * pair of neighbours becomes a token. Of equally frequent pairs the one with the smaller ids goes first, which gives the
 * merges of Hugging Face's `BpeTrainer`.
 *
 * A merge changes the counts of pairs only in the words that have it, so each pair knows its words, and a heap the most
 * frequent pair. Counts in the heap may be out of date: they are looked up when a pair comes to the top.
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
  /** Where it may be found. */
  readonly words: number[];
}

const isBefore = (a: Candidate, b: Candidate): boolean =>
  a.count !== b.count ? a.count > b.count : a.left !== b.left ? a.left < b.left : a.right < b.right;

/**
 * @param words are used up
 * @param tokens the tokens there are, in the order of ids; those learned are added
 * @param maxSize how many tokens there may be in the end
 * @param minFrequency pairs that occur less often are not joined
 */
export function learnMerges(
  words: Words,
  tokens: string[],
  { maxSize, minFrequency }: { maxSize: number; minFrequency: number },
): Merge[] {
  const lengths = Uint32Array.from(words.counts, (_, w) => words.starts[w + 1] - words.starts[w]);
  const pairs = new PairCounts();
  words.counts.forEach((count, w) => {
    for (let i = words.starts[w]; i + 1 < words.starts[w + 1]; i++)
      pairs.change(words.ids[i], words.ids[i + 1], count, w);
  });
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
    for (const w of top.words) lengths[w] = mergeWord(words, w, lengths[w], merge, pairs);
    for (const candidate of pairs.takeRisen()) heap.push(candidate);
  }
  return merges;
}

/** Joins a pair wherever it stands in a word. @returns the word's new length */
function mergeWord(
  { ids, starts, counts }: Words,
  w: number,
  length: number,
  { left, right, joined }: Merge,
  pairs: PairCounts,
): number {
  const [start, end, count] = [starts[w], starts[w] + length, counts[w]];
  let to = start;
  for (let i = start; i < end; i++) {
    if (ids[i] !== left || i + 1 === end || ids[i + 1] !== right) {
      ids[to++] = ids[i];
      continue;
    }
    i++;
    if (to > start) {
      pairs.change(ids[to - 1], left, -count, w);
      pairs.change(ids[to - 1], joined, count, w);
    }
    if (i + 1 < end) {
      pairs.change(right, ids[i + 1], -count, w);
      pairs.change(joined, ids[i + 1], count, w);
    }
    ids[to++] = joined;
  }
  return to - start;
}

/** How often each pair occurs, and where it has become more frequent. */
class PairCounts {
  /** By the number of a pair. */
  readonly counts: number[] = [];
  readonly #pairs = new PairTable();
  #risen = new Map<number, Candidate>();

  change(left: number, right: number, count: number, word: number): void {
    const pair = this.#pairs.add(left, right);
    this.counts[pair] = (this.counts[pair] ?? 0) + count;
    if (count < 0) return;
    const candidate = this.#risen.get(pair);
    if (candidate === undefined) this.#risen.set(pair, { pair, left, right, count: 0, words: [word] });
    else if (candidate.words.at(-1) !== word) candidate.words.push(word);
  }

  /** The pairs whose counts have risen since the last call, with the words where they have. */
  takeRisen(): Candidate[] {
    const risen = [...this.#risen.values()];
    this.#risen = new Map();
    for (const candidate of risen) candidate.count = this.counts[candidate.pair];
    return risen.filter(({ count }) => count > 0);
  }
}
