/** Runs the automaton of a pattern over a text, which it divides into matches and what is between them. */
import { UserError } from '../../errors.ts';
import { REMOVED, type PieceRule } from '../pieces.ts';
import type { TextUnits } from '../text-units.ts';
import type { Automaton } from './pattern-automaton.ts';

/** Mark on the start of text between matches, for a rule that needs to tell it from a match. */
export const BETWEEN = REMOVED;

/**
 * Limit on the units read beyond the ends of matches, as a multiple of the text's length. The patterns of known tokenizers read a run
 * of white space twice, in search of a line end.
 */
const LOOKAHEAD_FACTOR = 64;
/** Always allowed, in UTF-16 units. */
const LOOKAHEAD_ALLOWANCE = 1 << 16;

/**
 * Pieces are the matches, and the text between two matches.
 *
 * @param field name of the pattern in tokenizer.json, for messages
 * @param between 0, or the mark `BETWEEN`
 * @throws UserError if a text takes the pattern too long
 */
export const patternRule =
  (automaton: Automaton, field: string, between: number = 0): PieceRule =>
  (units, from, end, final, starts, at) => {
    const count = divide(automaton, between, units, from, end, final, starts, at);
    if (count >= 0) return count;
    throw new UserError('unsupported-format', `tokenizer.json: "${field}" takes too long for this text`, {
      hint: 'the pattern keeps reading ahead without finding a match; use another tokenizer',
    });
  };

/** A top-level function instead of a closure, as V8 optimizes it better. @returns −1 if it takes too long */
function divide(
  { columns, table, width, start }: Automaton,
  between: number,
  units: TextUnits,
  from: number,
  end: number,
  final: boolean,
  starts: Uint32Array,
  at: number,
): number {
  let count = at;
  let first = from; // of the match being sought
  let lookaheadLeft = LOOKAHEAD_FACTOR * (end - from) + LOOKAHEAD_ALLOWANCE;
  let isBetween = false; // whether the piece at `starts[count]` is text between matches
  starts[count] = from;
  while (first < end) {
    let last = first;
    let entry = start << 1;
    let i = first;
    do {
      let column = width - 1;
      let next = i + 1;
      if (i < end) {
        const unit = units.getUint16(2 * i, true);
        if ((unit & 0xfc00) !== 0xd800) column = columns[unit];
        else if (next === end)
          return count; // the low surrogate has not arrived
        else column = columns[0x10000 + ((unit & 0x3ff) << 10) + (units.getUint16(2 * next++, true) & 0x3ff)];
      } else if (!final) return count;
      entry = table[(entry >> 1) + column];
      if ((entry & 1) === 1) last = i;
      i = next;
    } while (entry > 1);
    lookaheadLeft -= i - last;
    if (lookaheadLeft < 0) return -1;
    if (last > first) {
      if (isBetween) starts[++count] = first;
      isBetween = false;
      first = last;
      starts[++count] = first;
    } else {
      if (!isBetween) starts[count] += between;
      isBetween = true;
      first += (units.getUint16(2 * first, true) & 0xfc00) === 0xd800 ? 2 : 1;
    }
  }
  if (isBetween && final) starts[++count] = end;
  return count;
}
