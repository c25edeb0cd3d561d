/**
 * Finds line breaks at which a large text can be split, so that its parts can be encoded in parallel and yield the ids of
 * the whole.
 */
import { WHITE_SPACE } from '../pieces.ts';
import type { Automaton } from './pattern-automaton.ts';

/**
 * What a rule guarantees at a line feed between two characters other than white space. `always`: a piece ends there, in any
 * context. `harmless`: splitting the text there moves no other piece boundary. `never`: neither.
 */
export type CutSafety = 'always' | 'harmless' | 'never';

export interface LineCuts {
  readonly before: CutSafety;
  readonly after: CutSafety;
}

export const HARMLESS: LineCuts = { before: 'harmless', after: 'harmless' };
export const NEVER: LineCuts = { before: 'never', after: 'never' };

/** For rules that are applied in turn: the first that is not harmless decides. */
export function cutsOfAll(cuts: readonly LineCuts[]): LineCuts {
  const first = (side: keyof LineCuts): CutSafety =>
    cuts.map((each) => each[side]).find((safety) => safety !== 'harmless') ?? 'never';
  return { before: first('before'), after: first('after') };
}

/** For a rule whose pieces are the matches of an automaton and what is between them. */
export function cutsOfAutomaton({ columns, table, width, start }: Automaton): LineCuts {
  const counts = new Int32Array(width);
  for (const column of columns) counts[column]++;
  for (const character of WHITE_SPACE) counts[columns[character.charCodeAt(0)]]--;
  const others = [...counts.keys()].filter((column) => counts[column] > 0);
  const lineFeed = columns[0x0a];
  const states = Array.from({ length: table.length / width - 1 }, (_, i) => (i + 1) * width);
  const step = (state: number, column: number): number => table[state + column] >> 1;
  const mayEnd = (state: number, column: number): boolean => (table[state + column] & 1) === 1;
  const endsBefore = (state: number, next: readonly number[], mustEnd: boolean): boolean =>
    next.every(
      (column) =>
        step(state, column) === 0 &&
        mayEnd(state, column) === mayEnd(state, width - 1) &&
        (!mustEnd || mayEnd(state, column)),
    );
  /** Whether a match always ends after the characters of a path, and the last one cannot be between matches. */
  const isSafe = (last: readonly number[], next: readonly number[], from: readonly number[]): boolean =>
    last.every((column) => {
      const alone = step(start, column);
      return (
        alone !== 0 &&
        endsBefore(alone, next, true) &&
        from.every((state) => {
          const reached = step(state, column);
          return reached === 0 || endsBefore(reached, next, false);
        })
      );
    });
  const afterOthers = states.flatMap((state) => others.map((column) => step(state, column)));
  return {
    before: isSafe(others, [lineFeed], states) ? 'always' : 'never',
    after: isSafe(
      [lineFeed],
      others,
      [...new Set(afterOthers)].filter((state) => state !== 0),
    )
      ? 'always'
      : 'never',
  };
}

/** The last position at which a text can safely be split, or 0. More text may follow. */
export function lastCut(text: string, { before, after }: LineCuts): number {
  if (before !== 'always' && after !== 'always') return 0;
  const last = after === 'always' ? text.length - 2 : text.length - 1;
  for (let at = text.lastIndexOf('\n', last); at > 0; at = text.lastIndexOf('\n', at - 1)) {
    if (WHITE_SPACE.includes(text[at - 1])) continue;
    if (before === 'always') return at;
    if (!WHITE_SPACE.includes(text[at + 1])) return at + 1;
  }
  return 0;
}
