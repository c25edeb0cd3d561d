/**
 * Splits text into words without loss: the pieces concatenate to the text.
 *
 *     ␣?[letter, digit, _][letters, digits, _, marks]*  |  ␣?[one other character][marks]*  |  one white-space character
 *
 * A space belongs to the next piece, as in GPT-2's tokenizer (Radford et al. 2019), so " whale" is one token. A mark
 * belongs to the preceding character (Unicode Standard Annex #29, rule WB4). Marks include vowel signs of Hindi and Thai,
 * accents of decomposed Latin, joiners in Persian words, and variation selectors of emoji.
 */
import { pairAt, unitClasses, WHITE_SPACE, type PieceRule } from './pieces.ts';
import type { TextUnits } from './text-units.ts';

/** A rule, with its regular expression for tokenizer.json. */
export interface WordRule {
  readonly pattern: string;
  readonly starts: PieceRule;
}

/** Combining marks, and the zero-width joiner and non-joiner, which Unicode classifies as format characters. */
const MARKS = '\\p{M}\u200c\u200d';

/** Character classes. */
const OTHER = 0;
const WORD = 1;
const WHITE = 2;
const SPACE = 3;
/** Classes from here on leave the fast loop. */
const HALF = 4;
const MARK = 5;
const WORD_CHARACTER = /[\p{L}\p{N}_]/u;
const MARK_CHARACTER = new RegExp(`[${MARKS}]`, 'u');

/**
 * Whether a piece starts between two characters: bit 4 · (first class) + (second class). A table because word ends are hard
 * to predict, and a mispredicted branch costs more than all other work on a word.
 */
const STARTS = [OTHER, WORD, WHITE, SPACE].reduce((bits, first) => {
  const joined = first === WORD ? [WORD] : first === SPACE ? [WORD, OTHER] : [];
  return joined.reduce((rest, second) => rest & ~(1 << (4 * first + second)), bits);
}, 0xffff);

/** Character classes under one rule. */
interface Classes {
  readonly ofUnit: Uint8Array;
  /** Class of a surrogate pair. */
  readonly ofPair: (pair: string) => number;
}

/** @param marks class of marks: MARK, or OTHER if each is a piece of its own */
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
  /** Built on first use, about 5 ms. */
  let classes: Classes | undefined;
  return (units, from, end, final, starts, at) =>
    cutWords((classes ??= makeClasses(marks)), units, from, end, final, starts, at);
}

/** A top-level function instead of a closure: V8 optimizes it better, by a fifth. */
function cutWords(
  { ofUnit, ofPair }: Classes,
  units: TextUnits,
  from: number,
  length: number,
  final: boolean,
  starts: Uint32Array,
  at: number,
): number {
  let end = length;
  // Hold back a high surrogate at the end.
  if (!final && end > from && ofUnit[units.getUint16(2 * end - 2, true)] === HALF) end--;
  let last = WHITE;
  let count = at;
  for (let i = from; i < end; i++) {
    // Fast loop without pairs and marks, twice the speed of handling them here.
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
      // A mark after white space is a piece of its own.
      count += (STARTS >> (4 * last + OTHER)) & 1;
      last = OTHER;
    }
  }
  // The last piece may continue: with a mark, or as the word after a space.
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

/** The rule of older tokenizers, which split words at marks. */
export const WORDS_CUT_AT_MARKS: WordRule = {
  pattern: ` ?[\\p{L}\\p{N}_]+| ?[^${WHITE_SPACE}\\p{L}\\p{N}_]|[${WHITE_SPACE}]`,
  starts: wordStarts(OTHER),
};
