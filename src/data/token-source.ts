import { UsageError } from '../errors.ts';

/**
 * A sequence of token ids that can be read anywhere: a Uint16Array or Uint32Array is one, and so is a token file larger
 * than memory.
 */
export interface TokenSource {
  /** In tokens. */
  readonly length: number;
  /** The ids from `start` up to, not including, `end`; both within 0 … length. */
  slice(start: number, end: number): ArrayLike<number>;
}

/** A part of a source, read through it: nothing is copied. */
export const part = (source: TokenSource, from: number, to: number): TokenSource => ({
  length: to - from,
  slice: (start, end) => source.slice(from + start, from + end),
});

export interface Split {
  readonly train: TokenSource;
  readonly validation: TokenSource;
}

/**
 * The last `fraction` of the tokens is for validation, the rest for training, as in nanoGPT. Text next to each other is
 * alike, so a cut in one place tells the two apart better than drawing windows at random would.
 *
 * @param fraction at least 0, less than 1
 */
export function splitTokens(source: TokenSource, fraction: number): Split {
  if (!(fraction >= 0 && fraction < 1))
    throw new UsageError(
      'bad-option-value',
      `the validation share is ${fraction}; it must be at least 0 and less than 1`,
    );
  const cut = Math.floor(source.length * (1 - fraction));
  return { train: part(source, 0, cut), validation: part(source, cut, source.length) };
}
