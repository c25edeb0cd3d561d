/**
 * How far texts stand verbatim in another one: for each of their tokens, the longest stretch ending there that the other
 * text contains anywhere (the matching statistics of Chang & Lawler 1994).
 *
 * The suffix automaton of the texts (Blumer et al. 1985) is the smallest machine that recognises all their stretches. It is
 * built in linear time; the other text then streams through it, so it may be of any size: memory is that of the texts.
 */
import type { TokenSource } from '../../data/token-source.ts';
import { PairTable } from '../../pair-table.ts';

/** For each token of one text: */
export interface Matches {
  /** How many tokens up to and with this one stand in the other text. */
  readonly lengths: Int32Array;
  /** One place where they end in the other text: the index behind the last of them. −1 if there are none. */
  readonly ends: Float64Array;
}

/** Tokens read from a source at once. */
const CHUNK = 1 << 16;

/** @param texts in ids of at least 0 */
export function longestMatches(texts: readonly ArrayLike<number>[], other: TokenSource): Matches[] {
  const automaton = new SuffixAutomaton(texts.reduce((sum, text) => sum + text.length + 1, 0));
  const states = texts.map((text, i) => {
    const found = Int32Array.from(text, (id) => automaton.append(id));
    automaton.append(-1 - i); // stands in no text, so no stretch goes from one text into the next
    return found;
  });
  const { matched, ends } = automaton.match(other);
  return states.map((each) => ({
    lengths: Int32Array.from(each, (state) => matched[state]),
    ends: Float64Array.from(each, (state) => ends[state]),
  }));
}

/**
 * Each state stands for stretches that end at the same places of the text: of lengths up to `#length`, and above that of
 * its suffix link, whose state stands for the shorter ones, which end at more places.
 */
class SuffixAutomaton {
  readonly #length: Int32Array;
  readonly #link: Int32Array;
  /** (state, token) → state. */
  readonly #edges: PairTable;
  /** The edges of a state as a list: its last one, and the one before each; −1 ends it. */
  readonly #lastEdge: Int32Array;
  readonly #edgeBefore: Int32Array;
  #states = 1;
  #last = 0;

  /** @param tokens how many will be appended at most */
  constructor(tokens: number) {
    this.#length = new Int32Array(2 * tokens + 1);
    this.#link = new Int32Array(2 * tokens + 1).fill(-1);
    this.#lastEdge = new Int32Array(2 * tokens + 1).fill(-1);
    this.#edges = new PairTable(3 * tokens + 1); // there are never more: Blumer et al., theorem 3.4
    this.#edgeBefore = new Int32Array(3 * tokens + 1);
  }

  /** Returns the state of the whole text so far. */
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
    // The shorter stretches of `known` now end at one more place than its longer ones: they get a state of their own.
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

  /** For each state, how long a stretch of it the other text contains, its shorter ones included, and where that ends. */
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
