/** What a Split pre-tokenizer does with the matches of its pattern ("delimiters" in `tokenizers`). */
import { REMOVED, startOf, type PieceRule } from '../pieces.ts';
import { BETWEEN } from './pattern-rule.ts';

/**
 * True if a piece joins the previous one, given whether each of them is a match. With Removed, all pieces are separate and
 * matches are dropped.
 */
const joins = {
  Isolated: () => false,
  Removed: () => false,
  Contiguous: (isMatch: boolean, wasMatch: boolean) => isMatch === wasMatch,
  MergedWithPrevious: (isMatch: boolean, wasMatch: boolean) => isMatch && !wasMatch,
  MergedWithNext: (isMatch: boolean, wasMatch: boolean) => !isMatch && wasMatch,
} satisfies Record<string, (isMatch: boolean, wasMatch: boolean) => boolean>;

export type SplitBehavior = keyof typeof joins;

export const splitBehaviors = Object.keys(joins) as SplitBehavior[];

/**
 * @param rule marks text between matches as `BETWEEN`
 * @param isInverted matches and the text between them swap roles
 */
export function withBehavior(rule: PieceRule, behavior: SplitBehavior, isInverted: boolean): PieceRule {
  const isJoined = joins[behavior];
  const mayContinue = behavior !== 'Isolated' && behavior !== 'Removed';
  return (units, from, end, final, starts, at) => {
    const count = rule(units, from, end, final, starts, at);
    const limit = startOf(starts[count]);
    let to = at;
    let wasMatch = false;
    for (let i = at; i < count; i++) {
      const isMatch = starts[i] >= BETWEEN === isInverted;
      const start = startOf(starts[i]);
      if (i === at || !isJoined(isMatch, wasMatch))
        starts[to++] = isMatch && behavior === 'Removed' ? start + REMOVED : start;
      wasMatch = isMatch;
    }
    if (mayContinue && !final && to > at) return to - 1;
    starts[to] = limit;
    return to;
  };
}

/** Pieces that start at each occurrence of a character of one UTF-16 unit, and the text before the first. */
export function beforeEach(mark: string): PieceRule {
  const unit = mark.charCodeAt(0);
  return (units, from, end, final, starts, at) => {
    let count = at;
    starts[count] = from;
    for (let i = from + 1; i < end; i++) if (units.getUint16(2 * i, true) === unit) starts[++count] = i;
    if (final && end > from) starts[++count] = end;
    return count;
  };
}

/** Applies rules in turn, each to the pieces of the previous one. */
export function inTurn(rules: readonly PieceRule[]): PieceRule {
  if (rules.length === 1) return rules[0];
  const [first, ...others] = rules;
  const rest = inTurn(others);
  let pieces = new Uint32Array(1);
  return (units, from, end, final, starts, at) => {
    if (end - from >= pieces.length) pieces = new Uint32Array(2 * (end - from) + 1);
    const count = first(units, from, end, final, pieces, 0);
    let to = at;
    for (let i = 0; i < count; i++)
      if (pieces[i] >= REMOVED) starts[to++] = pieces[i];
      else to = rest(units, pieces[i], startOf(pieces[i + 1]), true, starts, to);
    starts[to] = startOf(pieces[count]);
    return to;
  };
}
