/**
 * Constructs byte-level BPE merges that build any given tokens, each of them a pre-tokenized piece: the reverse of learning
 * a vocabulary from text.
 *
 * Tokens are added one after the other. Each is encoded with the merges so far; where that ends in several symbols, a new
 * merge joins the last two, until one is left. A new merge has the lowest precedence of all, so the tokens before it are
 * encoded as before.
 *
 * Merging starts at the end: llama.cpp replaces a symbol that is not a token by those of its bytes that are. If merges of
 * " whale" joined the space with "w" in another word, the space would be lost, because it is written "Ġ", in two bytes.
 */
import { PairTable } from '../pair-table.ts';

export class ByteMerges {
  /** Symbols by number. */
  readonly #texts: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** A pair's number is the rank of its merge; its value is the merged symbol. */
  readonly #pairs = new PairTable();

  /** Ensures that a token is encoded as one symbol. @param token written in the byte alphabet */
  add(token: string): void {
    const symbols = Array.from(token, (byte) => this.#number(byte));
    while (symbols.length > 1) {
      const at = this.#firstToMerge(symbols);
      const pair = this.#pairs.add(symbols[at], symbols[at + 1]);
      const joined = this.#number(this.#texts[symbols[at]] + this.#texts[symbols[at + 1]]);
      this.#pairs.values[pair] = joined;
      symbols.splice(at, 2, joined);
    }
  }

  /** The merges in order of precedence, as "left right". */
  list(): string[] {
    const pairs = this.#pairs;
    return Array.from(
      { length: pairs.size },
      (_, pair) => `${this.#texts[pairs.first(pair)]} ${this.#texts[pairs.second(pair)]}`,
    );
  }

  /** Position of the pair that was learned first, leftmost first; if no pair has a merge yet, of the last pair. */
  #firstToMerge(symbols: readonly number[]): number {
    let [at, best] = [-1, Infinity];
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = this.#pairs.find(symbols[i], symbols[i + 1]);
      if (rank >= 0 && rank < best) [at, best] = [i, rank];
    }
    if (at >= 0) return at;
    const [left, right] = symbols.slice(-2);
    return symbols.findIndex((symbol, i) => symbol === left && symbols[i + 1] === right);
  }

  #number(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }
}
