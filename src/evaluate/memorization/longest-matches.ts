/**
 * Longest matches between texts: for each token, the longest substring ending there that occurs anywhere in another text
 * (the matching statistics of Chang & Lawler 1994).
 *
 * The suffix automaton of the texts (Blumer et al. 1985) is the smallest automaton that accepts all their substrings. It is
 * built in linear time; the other text is streamed through it, so memory depends only on the size of the texts.
 */
import type { TokenSource } from '../../data/token-source.ts';
import { PairTable } from '../../pair-table.ts';

/** Matches of one text; both arrays are indexed by token. */
export interface Matches {
  /** Length of the longest match that ends with this token. */
  readonly lengths: Int32Array;
  /** End of one such match in the other text (exclusive); −1 without a match. */
  readonly ends: Float64Array;
}

/** Tokens per read. */
const CHUNK = 1 << 16;

/** @param texts ids ≥ 0 */
export function longestMatches(texts: readonly ArrayLike<number>[], other: TokenSource): Matches[] {
  const automaton = new SuffixAutomaton(texts.reduce((sum, text) => sum + text.length + 1, 0));
  const states = texts.map((text, i) => {
    const found = Int32Array.from(text, (id) => automaton.append(id));
    automaton.append(-1 - i); // a separator that occurs nowhere, so no match spans two texts
    return found;
  });
  const { matched, ends } = automaton.match(other);
  return states.map((each) => ({
    lengths: Int32Array.from(each, (state) => matched[state]),
    ends: Float64Array.from(each, (state) => ends[state]),
  }));
}

/**
 * A state represents the substrings with one set of end positions. Their lengths range from that of its suffix link plus
 * one to `#length`; the link's state represents their shorter suffixes, which have more end positions.
 */
class SuffixAutomaton {
  readonly #length: Int32Array;
  readonly #link: Int32Array;
  /** (state, token) → state. */
  readonly #edges: PairTable;
  /** Linked list of a state's edges: the last edge, and the edge before each; −1 ends the list. */
  readonly #lastEdge: Int32Array;
  readonly #edgeBefore: Int32Array;
  #states = 1;
  #last = 0;

  /** @param tokens upper bound of appended tokens */
  constructor(tokens: number) {
    this.#length = new Int32Array(2 * tokens + 1);
    this.#link = new Int32Array(2 * tokens + 1).fill(-1);
    this.#lastEdge = new Int32Array(2 * tokens + 1).fill(-1);
    this.#edges = new PairTable(3 * tokens + 1); // Blumer et al., theorem 3.4: there are never more
    this.#edgeBefore = new Int32Array(3 * tokens + 1);
  }

  /** Returns the state of the text so far. */
  append(token: number): number {
    const [length, link] = [this.#length, this.#link];
    const state = this.#states++;
    length[state] = length[this.#last] + 1;
    let from = this.#last;
    while (from >= 0 && this.#next(from, token) < 0) {
      this.#connect(from, token, state);
      from = link[from];
    }
    this.#last = state;
    if (from < 0) {
      link[state] = 0;
      return state;
    }
    const known = this.#next(from, token);
    if (length[known] === length[from] + 1) {
      link[state] = known;
      return state;
    }
    // Shorter substrings of `known` now have one more end position than its longer ones, so they move to a state of their
    // own.
    const clone = this.#states++;
    length[clone] = length[from] + 1;
    link[clone] = link[known];
    for (let edge = this.#lastEdge[known]; edge >= 0; edge = this.#edgeBefore[edge])
      this.#connect(clone, this.#edges.second(edge), this.#edges.values[edge]);
    while (from >= 0 && this.#next(from, token) === known) {
      this.#edges.values[this.#edges.find(from, token)] = clone;
      from = link[from];
    }
    link[known] = clone;
    link[state] = clone;
    return state;
  }

  /**
   * For each state, the length of its longest substring, including suffixes, that occurs in the other text, and one end
   * position there.
   */
  match(other: TokenSource): { matched: Int32Array; ends: Float64Array } {
    const [length, link] = [this.#length, this.#link];
    const matched = new Int32Array(this.#states);
    const ends = new Float64Array(this.#states).fill(-1);
    let state = 0;
    let reached = 0;
    for (let start = 0; start < other.length; start += CHUNK) {
      const ids = other.slice(start, Math.min(start + CHUNK, other.length));
      for (let i = 0; i < ids.length; i++) {
        let next = this.#next(state, ids[i]);
        while (next < 0 && state > 0) {
          state = link[state];
          reached = length[state];
          next = this.#next(state, ids[i]);
        }
        if (next < 0) continue;
        state = next;
        reached++;
        if (reached <= matched[state]) continue;
        matched[state] = reached;
        ends[state] = start + i + 1;
      }
    }
    const byLength = Int32Array.from({ length: this.#states - 1 }, (_, i) => i + 1).sort(
      (a, b) => length[a] - length[b],
    );
    for (const each of byLength.toReversed())
      if (matched[each] > 0 && matched[link[each]] < length[link[each]]) {
        matched[link[each]] = length[link[each]];
        ends[link[each]] = ends[each];
      }
    for (const each of byLength)
      if (matched[each] === 0) {
        matched[each] = matched[link[each]];
        ends[each] = ends[link[each]];
      }
    return { matched, ends };
  }

  #next(state: number, token: number): number {
    const edge = this.#edges.find(state, token);
    return edge < 0 ? -1 : this.#edges.values[edge];
  }

  #connect(from: number, token: number, to: number): void {
    const edge = this.#edges.add(from, token);
    this.#edges.values[edge] = to;
    this.#edgeBefore[edge] = this.#lastEdge[from];
    this.#lastEdge[from] = edge;
  }
}
