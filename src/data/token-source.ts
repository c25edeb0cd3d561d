import { UsageError } from '../errors.ts';
import { documentCut } from './documents/order.ts';

/** Random access to a sequence of token ids: a Uint16Array, a Uint32Array, or a token file larger than memory. */
export interface TokenSource {
  /** In tokens. */
  readonly length: number;
  /** Ids from `start` to `end` (exclusive), both within 0 … length. */
  slice(start: number, end: number): ArrayLike<number>;
  /** 1 for each of these tokens that counts in the loss as a target, 0 for others. Absent: all count. */
  counted?(start: number, end: number): ArrayLike<number>;
}

/** Tokens in memory. */
export const inMemory = (ids: Uint16Array | Uint32Array, counted?: Uint8Array): TokenSource => ({
  length: ids.length,
  slice: (start, end) => ids.subarray(start, end),
  ...(counted !== undefined && { counted: (start: number, end: number) => counted.subarray(start, end) }),
});

/** A view of part of a source. */
const part = (source: TokenSource, from: number, to: number): TokenSource => ({
  length: to - from,
  slice: (start, end) => source.slice(from + start, from + end),
  ...(source.counted !== undefined && {
    counted: (start: number, end: number) => source.counted!(from + start, from + end),
  }),
});

/** Number of targets in a whole source: all tokens but the first, or those of them that count. */
export function targetCount(source: TokenSource): number {
  if (source.counted === undefined) return Math.max(0, source.length - 1);
  let count = 0;
  for (let start = 1; start < source.length; start += CHUNK) {
    const counted = source.counted(start, Math.min(start + CHUNK, source.length));
    for (let i = 0; i < counted.length; i++) count += counted[i];
  }
  return count;
}

/** In tokens. */
const CHUNK = 65_536;

/** True if an end token separates two documents, rather than only preceding the first or ending the last. */
export function hasBorder(source: TokenSource, endId: number): boolean {
  const last = source.length - 1;
  for (let start = 1; start < last; start += CHUNK) {
    const ids = source.slice(start, Math.min(start + CHUNK, last));
    for (let i = 0; i < ids.length; i++) if (ids[i] === endId) return true;
  }
  return false;
}

export interface Split {
  readonly train: TokenSource;
  readonly validation: TokenSource;
}

/**
 * Holds out the last `fraction` of the tokens for validation, as nanoGPT does. Adjacent text is similar, so splitting at
 * one place separates the two better than random windows would. Documents are split between two of them.
 *
 * @param fraction in [0, 1)
 * @param endId the token that ends documents; undefined if the text is not divided
 */
export function splitTokens(source: TokenSource, fraction: number, endId?: number): Split {
  if (!(fraction >= 0 && fraction < 1))
    throw new UsageError(
      'bad-option-value',
      `the validation fraction is ${fraction}; it must be at least 0 and less than 1`,
    );
  const cut = Math.floor(source.length * (1 - fraction));
  const { train, validation } =
    endId === undefined ? { train: cut, validation: cut } : documentCut(source, endId, cut);
  return { train: part(source, 0, train), validation: part(source, validation, source.length) };
}
