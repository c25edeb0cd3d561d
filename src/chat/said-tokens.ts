/** Special tokens spelled out in a message, where they are ordinary text. */

/** Finds the positions in a message at which a special token could be matched. */
export class SaidTokens {
  readonly #tokens: ReadonlySet<string>;
  /** Their lengths, by first UTF-16 unit. */
  readonly #lengths = new Map<string, Set<number>>();
  /** Proper prefixes and suffixes of the tokens: the template's text next to a message may complete them. */
  readonly #beginnings = new Set<string>();
  readonly #ends = new Set<string>();
  readonly #longest: number;
  readonly #joined: string;

  /** @param tokens not empty strings */
  constructor(tokens: readonly string[]) {
    this.#tokens = new Set(tokens);
    this.#longest = Math.max(0, ...tokens.map(({ length }) => length));
    this.#joined = tokens.join('\0');
    for (const token of tokens) {
      const lengths = this.#lengths.get(token[0]) ?? new Set();
      this.#lengths.set(token[0], lengths.add(token.length));
      for (let length = 1; length < token.length; length++) {
        this.#beginnings.add(token.slice(0, length));
        this.#ends.add(token.slice(-length));
      }
    }
  }

  /** Positions in UTF-16 units, in ascending order. @param message without NUL */
  places(message: string): number[] {
    const places = new Set<number>();
    for (let at = 0; at < message.length; at++)
      for (const length of this.#lengths.get(message[at]) ?? [])
        if (this.#tokens.has(message.slice(at, at + length))) places.add(at);
    for (let length = Math.min(message.length, this.#longest - 1); length > 0; length--) {
      if (this.#beginnings.has(message.slice(-length))) places.add(message.length - length);
      if (this.#ends.has(message.slice(0, length))) places.add(0);
    }
    const mayBeInside = message !== '' && message.length < this.#longest;
    if (mayBeInside && this.#joined.includes(message)) places.add(0);
    return [...places].sort((a, b) => a - b);
  }
}

/** Inserts a mark at each position of a message. */
export function withMarks(message: string, places: readonly number[], mark: string): string {
  let marked = '';
  let from = 0;
  for (const at of places) {
    marked += message.slice(from, at) + mark;
    from = at;
  }
  return marked + message.slice(from);
}
