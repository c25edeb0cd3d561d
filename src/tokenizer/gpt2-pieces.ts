/**
 * GPT-2's pre-tokenizer (Radford et al. 2019, section 2.2, and their code), which keeps tokens from spanning words:
 *
 *     's|'t|'re|'ve|'m|'ll|'d | ␣?letters | ␣?digits | ␣?other characters | white space
 *
 * White space before something else leaves its last character to it. Implemented in one pass without regular expressions:
 * whether a piece starts at a character depends only on its class and those of its two neighbors, except in contractions.
 */
import { pairAt, unitClasses, WHITE_SPACE } from './pieces.ts';
import type { TextUnits } from './text-units.ts';
import { propertyClass } from './unicode-versions.ts';

/** The same rule as a regular expression for Oniguruma. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const LETTERS = new RegExp(propertyClass('L')!, 'v');
const NUMBERS = new RegExp(propertyClass('N')!, 'v');

/** Character classes. */
const OTHER = 0;
const LETTER = 1;
const NUMBER = 2;
const WHITE = 3;
const SPACE = 4;
/** Previous class at the start of the text and after a contraction: the next character always starts a piece. */
const OVER = 5;
const APOSTROPHE = 6;
const HALF = 7;

let classes: Uint8Array | undefined;
const classTable = (): Uint8Array =>
  (classes ??= unitClasses(
    [
      [LETTER, LETTERS],
      [NUMBER, NUMBERS],
      [WHITE, new RegExp(`[${WHITE_SPACE}]`)],
      [SPACE, / /],
      [APOSTROPHE, /'/],
    ],
    HALF,
  ));

/** Whether a piece starts at a character, indexed by 64 · (previous class) + 8 · (its class) + (next class). */
const STARTS = Uint8Array.from({ length: 512 }, (_, key) => {
  const [before, kind, next] = [key >> 6, (key >> 3) & 7, key & 7];
  const isWhite = (of: number): boolean => of === WHITE || of === SPACE;
  if (kind === OVER) return 0;
  if (before === OVER) return 1;
  if (isWhite(kind)) return !isWhite(before) || !isWhite(next) ? 1 : 0;
  return before === kind || before === SPACE ? 0 : 1;
});

/** Implements `PieceRule`. */
export function gpt2Starts(
  units: TextUnits,
  from: number,
  length: number,
  final: boolean,
  starts: Uint32Array,
  first: number,
): number {
  const table = classTable();
  let end = length;
  // Hold back a high surrogate at the end.
  if (!final && end > from && table[units.getUint16(2 * end - 2, true)] === HALF) end--;
  let count = first;
  let at = from; // the character decided once its successor is known
  let key = (OVER << 3) | OVER; // classes of the last three characters, the latest in the low bits
  starts[count] = from;
  for (let i = from; i < end; i++) {
    let kind = table[units.getUint16(2 * i, true)];
    let next = i;
    if (kind >= APOSTROPHE) {
      if (kind === HALF) {
        const pair = pairAt(units, next++);
        kind = LETTERS.test(pair) ? LETTER : NUMBERS.test(pair) ? NUMBER : OTHER;
      } else {
        const before = key & 7;
        // After a space or another symbol, an apostrophe does not start a contraction.
        const ending = before === OTHER || before === SPACE ? 0 : endingLength(units, i, end, final);
        if (ending < 0) {
          end = i; // depends on text to come
          break;
        }
        if (ending > 0) {
          starts[count] = at;
          count += STARTS[((key << 3) & 511) + OTHER];
          starts[count++] = i;
          key = OVER;
          i += ending - 1;
          continue;
        }
        kind = OTHER;
      }
    }
    key = ((key << 3) | kind) & 511;
    starts[count] = at;
    count += STARTS[key];
    at = i;
    i = next;
  }
  if (!final) return count === first ? first : count - 1; // the last piece may continue
  starts[count] = at;
  count += STARTS[((key << 3) | WHITE) & 511];
  starts[count] = end;
  return count;
}

/** Length of the contraction at the apostrophe in unit `i`: 0 if there is none, −1 if that depends on text to come. */
function endingLength(units: TextUnits, i: number, end: number, final: boolean): number {
  if (i + 1 >= end) return final ? 0 : -1;
  const first = units.getUint16(2 * i + 2, true);
  if (first === S || first === T || first === M || first === D) return 2;
  if (first !== R && first !== V && first !== L) return 0;
  if (i + 2 >= end) return final ? 0 : -1;
  return units.getUint16(2 * i + 4, true) === (first === L ? L : E) ? 3 : 0;
}

const [S, T, M, D, R, V, L, E] = Array.from('stmdrvle', (letter) => letter.charCodeAt(0));
