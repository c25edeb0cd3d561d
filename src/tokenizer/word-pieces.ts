/**
 * Cutting text into words, losslessly: the pieces, one behind the other, are the text.
 *
 *     ␣?[letter, digit, _][letters, digits, _, marks]*  |  ␣?[one other character][marks]*  |  one white-space character
 *
 * A space belongs to the piece behind it, as in GPT-2's tokenizer (Radford et al. 2019), so that " whale" is one token. A mark
 * belongs to the character before it (Unicode Standard Annex #29, rule WB4): the vowel signs of Hindi and Thai, the accents of
 * decomposed Latin, the joiners within Persian words, and the variation selectors behind emoji.
 */
import { pairAt, unitClasses, WHITE_SPACE, type PieceRule } from './pieces.ts';
import type { TextUnits } from './text-units.ts';

/** A rule, and the same as a regular expression for tokenizer.json. */
export interface WordRule {
  readonly pattern: string;
  readonly starts: PieceRule;
}

/** Combining marks, and the zero-width joiner and non-joiner, which Unicode counts as format characters. */
const MARKS = '\\p{M}\u200c\u200d';

/** What a character is to the cut. */
const OTHER = 0;
const WORD = 1;
const WHITE = 2;
const SPACE = 3;
/** Those from here on leave the fast loop. */
const HALF = 4;
const MARK = 5;
const WORD_CHARACTER = /[\p{L}\p{N}_]/u;
const MARK_CHARACTER = new RegExp(`[${MARKS}]`, 'u');

/**
 * Whether a piece starts between two characters depends on no others: bit 4 × (class of the first) + class of the second.
 * A table instead of conditions, as word ends are hard to predict, and each mispredicted branch costs more than the rest of
 * the work on a word.
 */
const STARTS = [OTHER, WORD, WHITE, SPACE].reduce((bits, first) => {
  const joined = first === WORD ? [WORD] : first === SPACE ? [WORD, OTHER] : [];
  return joined.reduce((rest, second) => rest & ~(1 << (4 * first + second)), bits);
}, 0xffff);

/** Which class each character has. */
interface Classes {
  readonly ofUnit: Uint8Array;
  /** Of a surrogate pair. */
  readonly ofPair: (pair: string) => number;
}

/** @param marks what a mark is: MARK, or OTHER where it is a piece of its own */
const makeClasses = (marks: typeof MARK | typeof OTHER): Classes => ({
  ofUnit: unitClasses(
    [
      [marks, MARK_CHARACTER],
      [WORD, WORD_CHARACTER],
      [WHITE, new RegExp(`[${WHITE_SPACE}]`)],
      [SPACE, / /],
    ],
    HALF,
  ),
  ofPair: (pair) => (WORD_CHARACTER.test(pair) ? WORD : MARK_CHARACTER.test(pair) ? marks : OTHER),
});

function wordStarts(marks: typeof MARK | typeof OTHER): PieceRule {
  /** Made at first use: 65,536 tests take about 5 ms. */
  let classes: Classes | undefined;
  return (units, length, final, starts) =>
    cutWords((classes ??= makeClasses(marks)), units, length, final, starts);
}

/** No closure of `wordStarts`: V8 compiles a function that exists once a fifth faster, as it knows what is constant around it. */
function cutWords(
  { ofUnit, ofPair }: Classes,
  units: TextUnits,
  length: number,
  final: boolean,
  starts: Uint32Array,
): number {
  let end = length;
  // The first half of a surrogate pair waits for the second.
  if (!final && end > 0 && ofUnit[units.getUint16(2 * end - 2, true)] === HALF) end--;
  let last = WHITE;
  let count = 0;
  for (let i = 0; i < end; i++) {
    // Neither pairs nor marks: a loop of its own, as it is twice as fast.
    for (; i < end; i++) {
      starts[count] = i;
      const kind = ofUnit[units.getUint16(2 * i, true)];
      if (kind >= HALF) break;
      count += (STARTS >> (4 * last + kind)) & 1;
      last = kind;
    }
    if (i === end) break;
    const half = ofUnit[units.getUint16(2 * i, true)];
    const kind = half === HALF ? ofPair(pairAt(units, i++)) : half;
    if (kind !== MARK) {
      count += (STARTS >> (4 * last + kind)) & 1;
      last = kind;
    } else if (last === WHITE || last === SPACE) {
      // Without a character to belong to, a mark is one.
      count += (STARTS >> (4 * last + OTHER)) & 1;
      last = OTHER;
    }
  }
  // A mark may still follow whatever is not white space, and a word the space before it.
  if (!final && last !== WHITE) count--;
  else starts[count] = end;
  return count;
}

export const WORDS: WordRule = {
  pattern:
    ` ?[\\p{L}\\p{N}_][\\p{L}\\p{N}_${MARKS}]*` +
    `| ?[^${WHITE_SPACE}\\p{L}\\p{N}_][${MARKS}]*` +
    `|[${WHITE_SPACE}]`,
  starts: wordStarts(MARK),
};

/** The rule of tokenizers saved before marks belonged to words. */
export const WORDS_CUT_AT_MARKS: WordRule = {
  pattern: ` ?[\\p{L}\\p{N}_]+| ?[^${WHITE_SPACE}\\p{L}\\p{N}_]|[${WHITE_SPACE}]`,
  starts: wordStarts(OTHER),
};
