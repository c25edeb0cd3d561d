import type { TextUnits } from './text-units.ts';

/**
 * Cutting text into words, losslessly: the pieces, one behind the other, are the text.
 *
 *     ␣?[letters, digits, _]+  |  ␣?one other character  |  one white-space character
 *
 * A space belongs to the piece behind it, as in GPT-2's tokenizer (Radford et al. 2019), so that " whale" is one token.
 */

/**
 * White space, written out: `\s` is one set in JavaScript and another in Rust, and tokenizer.json must mean the same
 * everywhere. This is Unicode's White_Space.
 */
const WHITE_SPACE =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';

/** The pattern as regular expression, for tokenizer.json. */
export const WORD_PATTERN = ` ?[\\p{L}\\p{N}_]+| ?[^${WHITE_SPACE}\\p{L}\\p{N}_]|[${WHITE_SPACE}]`;

/** What a character is to the cut. */
const OTHER = 0;
const WORD = 1;
const WHITE = 2;
const SPACE = 3;
/** The first half of a pair: what the character is, both halves say together. */
const HALF = 4;
const WORD_CHARACTER = /[\p{L}\p{N}_]/u;

/** What each UTF-16 unit is. Made at first use: 65,536 regular expression tests take some 5 ms. */
let classes: Uint8Array | undefined;
function classTable(): Uint8Array {
  if (classes === undefined) {
    classes = new Uint8Array(0x10000);
    for (let unit = 0; unit < 0x10000; unit++)
      if (WORD_CHARACTER.test(String.fromCharCode(unit))) classes[unit] = WORD;
    for (const character of WHITE_SPACE) classes[character.charCodeAt(0)] = WHITE;
    classes[0x20] = SPACE;
    classes.fill(HALF, 0xd800, 0xdc00);
  }
  return classes;
}

/**
 * Whether a piece starts between two characters depends on no others: bit 4 × (class of the first) + class of the second.
 * A table instead of conditions, as a processor can't foresee where words end, and each wrong guess costs it more than the
 * rest of the work on a word.
 */
const STARTS = [OTHER, WORD, WHITE, SPACE].reduce((bits, first) => {
  const joined = first === WORD ? [WORD] : first === SPACE ? [WORD, OTHER] : [];
  return joined.reduce((rest, second) => rest & ~(1 << (4 * first + second)), bits);
}, 0xffff);

/**
 * Finds where pieces start. The text is well-formed, but may be cut anywhere: unless `final`, a last piece that may go on in
 * text still to come is left out.
 *
 * @param starts room for one number more than `length`; piece i is from `starts[i]` up to `starts[i + 1]`
 * @returns how many pieces there are
 */
export function pieceStarts(units: TextUnits, length: number, final: boolean, starts: Uint32Array): number {
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
      const kind = kindOfPair(units, i++);
      count += (STARTS >> (4 * last + kind)) & 1;
      last = kind;
    }
  }
  // A word may get longer, a space may still get its word.
  if (!final && (last === WORD || last === SPACE)) count--;
  else starts[count] = end;
  return count;
}

function kindOfPair(units: TextUnits, i: number): number {
  const pair = String.fromCharCode(units.getUint16(2 * i, true), units.getUint16(2 * i + 2, true));
  return WORD_CHARACTER.test(pair) ? WORD : OTHER;
}
