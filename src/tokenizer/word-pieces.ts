/**
 * Cutting text into words, losslessly: the pieces, one behind the other, are the text.
 *
 *     ␣?[letters, digits, _]+  |  ␣?one other character  |  one white-space character
 *
 * A space belongs to the piece behind it, as in GPT-2's tokenizer (Radford et al. 2019), so that " whale" is one token.
 */
import { pairAt, unitClasses, WHITE_SPACE } from './pieces.ts';
import type { TextUnits } from './text-units.ts';

/** The pattern as regular expression, for tokenizer.json. */
export const WORD_PATTERN = ` ?[\\p{L}\\p{N}_]+| ?[^${WHITE_SPACE}\\p{L}\\p{N}_]|[${WHITE_SPACE}]`;

/** What a character is to the cut. */
const OTHER = 0;
const WORD = 1;
const WHITE = 2;
const SPACE = 3;
const HALF = 4;
const WORD_CHARACTER = /[\p{L}\p{N}_]/u;

/** Made at first use: 65,536 tests take some 5 ms. */
let classes: Uint8Array | undefined;
const classTable = (): Uint8Array =>
  (classes ??= unitClasses(
    [
      [WORD, WORD_CHARACTER],
      [WHITE, new RegExp(`[${WHITE_SPACE}]`)],
      [SPACE, / /],
    ],
    HALF,
  ));

/**
 * Whether a piece starts between two characters depends on no others: bit 4 × (class of the first) + class of the second.
 * A table instead of conditions, as a processor can't foresee where words end, and each wrong guess costs it more than the
 * rest of the work on a word.
 */
const STARTS = [OTHER, WORD, WHITE, SPACE].reduce((bits, first) => {
  const joined = first === WORD ? [WORD] : first === SPACE ? [WORD, OTHER] : [];
  return joined.reduce((rest, second) => rest & ~(1 << (4 * first + second)), bits);
}, 0xffff);

/** The rule, see PieceRule. */
export function wordStarts(units: TextUnits, length: number, final: boolean, starts: Uint32Array): number {
  const table = classTable();
  let end = length;
  // Half a character at the end waits for its other half.
  if (!final && end > 0 && table[units.getUint16(2 * end - 2, true)] === HALF) end--;
  let last = WHITE;
  let count = 0;
  for (let i = 0; i < end; i++) {
    // Without pairs, in a loop of its own, as it is twice as fast.
    for (; i < end; i++) {
      starts[count] = i;
      const kind = table[units.getUint16(2 * i, true)];
      if (kind === HALF) break;
      count += (STARTS >> (4 * last + kind)) & 1;
      last = kind;
    }
    if (i < end) {
      const kind = WORD_CHARACTER.test(pairAt(units, i++)) ? WORD : OTHER;
      count += (STARTS >> (4 * last + kind)) & 1;
      last = kind;
    }
  }
  // A word may get longer, a space may still get its word.
  if (!final && (last === WORD || last === SPACE)) count--;
  else starts[count] = end;
  return count;
}
