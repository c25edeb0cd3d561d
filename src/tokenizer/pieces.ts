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

const SPACE = 0x20;
const OTHER = 0;
const WORD = 1;
const WHITE = 2;
const WORD_CHARACTER = /[\p{L}\p{N}_]/u;

/** What each UTF-16 unit of the basic plane is. Made at first use: 65,536 regular expression tests take some 5 ms. */
let classes: Uint8Array | undefined;
function classTable(): Uint8Array {
  if (classes === undefined) {
    classes = new Uint8Array(0x10000);
    for (let unit = 0; unit < 0x10000; unit++)
      if (WORD_CHARACTER.test(String.fromCharCode(unit))) classes[unit] = WORD;
    for (const character of WHITE_SPACE) classes[character.charCodeAt(0)] = WHITE;
  }
  return classes;
}

/**
 * Calls `emit` with every piece of the text from `start`; returns where it stopped. Unless `final`, the last piece may go on
 * in text that is still to come, and is left alone.
 */
export function scanPieces(text: string, final: boolean, emit: (start: number, end: number) => void): number {
  const table = classTable();
  // Half a character at the end waits for its other half.
  const end = final || !isHalf(text, text.length - 1) ? text.length : text.length - 1;
  let i = 0;
  while (i < end) {
    const start = i;
    if (text.charCodeAt(i) === SPACE && i + 1 < end && kindAt(text, i + 1, table) !== WHITE) i++;
    const kind = kindAt(text, i, table);
    if (kind === WORD) {
      do i += widthAt(text, i);
      while (i < end && kindAt(text, i, table) === WORD);
    } else i += widthAt(text, i);
    // A word may get longer, a space may still get its word.
    const open = !final && i >= end && (kind === WORD || text.charCodeAt(i - 1) === SPACE);
    if (open) return start;
    emit(start, i);
  }
  return i;
}

function kindAt(text: string, i: number, table: Uint8Array): number {
  const unit = text.charCodeAt(i);
  if (unit < 0xd800 || unit > 0xdbff) return table[unit];
  const point = text.codePointAt(i)!;
  return WORD_CHARACTER.test(String.fromCodePoint(point)) ? WORD : OTHER;
}

const widthAt = (text: string, i: number): number => (text.codePointAt(i)! > 0xffff ? 2 : 1);
const isHalf = (text: string, i: number): boolean => (text.charCodeAt(i) & 0xfc00) === 0xd800;
