/** Finds added tokens such as `<|endoftext|>` in a text that arrives in chunks. */
import { WHITE_SPACE } from './pieces.ts';

/** How one token is found. */
export interface TokenMatch {
  readonly singleWord: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** Ordinary text and the token that follows it, if any. */
export interface Stretch {
  readonly text: string;
  readonly special: string | undefined;
  /** The token as it appears in the text, with the white space that belongs to it. */
  readonly matched: string;
}

/**
 * Splits a text that arrives in chunks; the last stretch of a chunk has no token.
 *
 * @param mark a character that makes a token right after it ordinary text; it is kept in the stretches
 */
export type Splitter = (piece: string, final: boolean, mark?: string) => Stretch[];

const plain = (text: string): Stretch => ({ text, special: undefined, matched: '' });

/**
 * Finds the leftmost token, and the longest of those that start there. A possible prefix of a token at the end of a chunk
 * is held back for the next one.
 *
 * @param tokens not empty strings
 */
export function specialTokenSplitter(tokens: readonly string[]): Splitter {
  if (tokens.length === 0) return (text) => [plain(text)];
  const finder = new TokenFinder(tokens);
  let held = '';
  return (piece, final, mark) => {
    const text = held + piece;
    const stretches: Stretch[] = [];
    let from = 0;
    let end = final ? text.length : finder.openEnd(text, 0, mark);
    for (const { 0: special, index } of tokenMatches(finder.pattern, text, mark)) {
      if (index >= end) break;
      stretches.push({ text: text.slice(from, index), special, matched: special });
      from = index + special.length;
      if (from > end) end = finder.openEnd(text, from, mark);
    }
    stretches.push(plain(text.slice(from, end)));
    held = text.slice(end);
    return stretches;
  };
}

class TokenFinder {
  readonly pattern: RegExp;
  readonly #tokens: readonly string[];
  readonly #longest: number;

  constructor(tokens: readonly string[]) {
    this.pattern = tokenPattern(tokens);
    this.#tokens = tokens;
    this.#longest = Math.max(...tokens.map(({ length }) => length));
  }

  /** Earliest position from which the end of the text may be an incomplete token, or a mark before one. */
  openEnd(text: string, from: number, mark?: string): number {
    for (let i = Math.max(from, text.length - this.#longest + 1); i < text.length; i++) {
      if (mark !== undefined && text[i - 1] === mark) continue;
      const rest = text.slice(i);
      if (this.#tokens.some((token) => token.length > rest.length && token.startsWith(rest))) return i;
    }
    return mark !== undefined && text.length > from && text.endsWith(mark) ? text.length - 1 : text.length;
  }
}

/** The occurrences of tokens that do not begin right after a mark. @param pattern of `tokenPattern` */
export function* tokenMatches(
  pattern: RegExp,
  text: string,
  mark: string | undefined,
): Generator<RegExpExecArray> {
  pattern.lastIndex = 0;
  for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
    const { 0: token, index } = found;
    const isMarked = mark !== undefined && text[index - 1] === mark;
    if (!isMarked) yield found;
    pattern.lastIndex = isMarked ? index + 1 : index + token.length;
  }
}

/** Matches any of the tokens, the longest of those that start at the same position. @param tokens at least one */
export const tokenPattern = (tokens: readonly string[]): RegExp =>
  new RegExp(
    tokens
      .toSorted((a, b) => b.length - a.length)
      .map((token) => escape(token))
      .join('|'),
    'g',
  );

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** Rust's `\w`. */
const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/** `specialTokenSplitter` for tokens with flags. White space is held back as long as it may belong to a token. */
export function flaggedTokenSplitter(tokens: ReadonlyMap<string, TokenMatch>): Splitter {
  const matches = [...tokens.values()];
  if (!matches.some(({ singleWord, lstrip, rstrip }) => singleWord || lstrip || rstrip))
    return specialTokenSplitter([...tokens.keys()]);
  return new FlaggedSplitter(tokens).split;
}

class FlaggedSplitter {
  readonly #tokens: ReadonlyMap<string, TokenMatch>;
  readonly #finder: TokenFinder;
  readonly #holdsSpace: boolean;
  #held = '';
  /** The character before the held text, or nothing. */
  #before = '';
  /** White space at the start belongs to the preceding token. */
  #isStripping = false;

  constructor(tokens: ReadonlyMap<string, TokenMatch>) {
    this.#tokens = tokens;
    this.#finder = new TokenFinder([...tokens.keys()]);
    this.#holdsSpace = [...tokens.values()].some(({ lstrip }) => lstrip);
  }

  readonly split: Splitter = (piece, final, mark) => {
    const text = this.#held + piece;
    let from = this.#isStripping ? spaceEnd(text, 0) : 0;
    this.#isStripping &&= from === text.length;
    const stretches: Stretch[] = [];
    let limit = final ? text.length : this.#finder.openEnd(text, 0, mark);
    for (const { 0: special, index } of tokenMatches(this.#finder.pattern, text, mark)) {
      if (index >= limit) break;
      const { singleWord, lstrip, rstrip } = this.#tokens.get(special)!;
      const end = index + special.length;
      if (end > limit) limit = final ? text.length : this.#finder.openEnd(text, end, mark);
      if (singleWord) {
        const next = end < text.length && text[end] === mark ? end + 1 : end;
        if (isOpen(text, next) && !final) {
          limit = index;
          break;
        }
        const before = index === 0 ? this.#before : text.slice(Math.max(0, index - 2), index);
        if (WORD_BEFORE.test(before) || WORD_AFTER.test(text.slice(next, next + 2))) continue;
      }
      // A token that begins with white space takes it back from the preceding token, unless it strips on the left itself.
      if (index < from && !lstrip) from = withoutSpaceFrom(stretches, index, from);
      const start = lstrip ? Math.max(from, spaceStart(text, index)) : index;
      const stop = rstrip ? spaceEnd(text, end) : end;
      if (stop <= start) continue;
      stretches.push({ text: text.slice(from, start), special, matched: text.slice(start, stop) });
      from = stop;
      this.#isStripping = rstrip && stop === text.length && !final;
    }
    if (!final && this.#holdsSpace && limit > from) limit = Math.max(from, spaceStart(text, limit));
    this.#isStripping ||= limit < from; // a token may begin with the white space
    stretches.push(plain(text.slice(from, limit)));
    this.#before = final ? '' : limit > 0 ? text.slice(Math.max(0, limit - 2), limit) : this.#before;
    this.#held = text.slice(limit);
    if (final) this.#isStripping = false;
    return stretches;
  };
}

/** Shortens the last token, which ended at `from`, to end at `index`. @returns `index` */
function withoutSpaceFrom(stretches: Stretch[], index: number, from: number): number {
  const last = stretches.pop();
  if (last !== undefined) stretches.push({ ...last, matched: last.matched.slice(0, index - from) });
  return index;
}

/** Whether the character at a position may still change. */
const isOpen = (text: string, at: number): boolean =>
  at === text.length || (at + 1 === text.length && (text.charCodeAt(at) & 0xfc00) === 0xd800);

function spaceStart(text: string, end: number): number {
  let i = end;
  while (i > 0 && WHITE_SPACE.includes(text[i - 1])) i--;
  return i;
}

function spaceEnd(text: string, start: number): number {
  let i = start;
  while (i < text.length && WHITE_SPACE.includes(text[i])) i++;
  return i;
}
