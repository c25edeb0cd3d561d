/**
 * Compiles a pattern to a deterministic automaton (Thompson 1968; Cox, Regular Expression Matching Can Be Simple And Fast,
 * 2007) that finds what a backtracking engine such as Oniguruma finds: of all ways to match, the first in order of
 * preference. A state is therefore a list of positions in the pattern, the preferred first, and a match cuts off those
 * after it.
 *
 * Patterns come out of untrusted files, and a backtracking engine can take exponential time. Here a character is one table
 * lookup, and pattern-rule.ts limits how often a character is looked at.
 */
import { alphabetOf, type Alphabet } from './character-classes.ts';
import { UnsupportedPattern, type CharacterClass, type Pattern } from './pattern-syntax.ts';

export interface Automaton {
  /** Column of each code point. */
  readonly columns: Uint8Array;
  /** Number of columns of `table`. */
  readonly width: number;
  /**
   * Entry `state + column` is twice the next state, plus 1 if the match may end before the character. States are multiples
   * of `width`; 0 ends the search. The last column is the end of the text.
   */
  readonly table: Int32Array;
  readonly start: number;
}

/** Instructions of the nondeterministic automaton. */
type Step =
  | { readonly op: 'match' }
  | { readonly op: 'character'; readonly of: number; readonly next: number }
  | { readonly op: 'lookahead'; readonly of: number; readonly isNegative: boolean; readonly next: number }
  /** Prefers the first. */
  | { readonly op: 'either'; first: number; second: number };

const MOST_STEPS = 4000;
const MOST_STATES = 4000;

/** @throws UnsupportedPattern */
export function compilePattern(pattern: Pattern): Automaton {
  const classes = [...new Set(classesOf(pattern))];
  const alphabet = alphabetOf(classes);
  if (alphabet === undefined) throw new UnsupportedPattern('too many character classes');
  const program = new Program(classes, alphabet);
  const entry = program.add(pattern, program.push({ op: 'match' }));
  const automaton = determinize(program.steps, entry, alphabet);
  if (matchesNothing(automaton)) throw new UnsupportedPattern('a match of the empty text');
  return automaton;
}

function classesOf(pattern: Pattern): CharacterClass[] {
  if (pattern.kind === 'character' || pattern.kind === 'lookahead') return [pattern.of];
  if (pattern.kind === 'sequence') return pattern.items.flatMap(classesOf);
  return pattern.kind === 'choice' ? pattern.options.flatMap(classesOf) : classesOf(pattern.item);
}

class Program {
  readonly steps: Step[] = [];
  readonly #classes: readonly CharacterClass[];
  readonly #alphabet: Alphabet;

  constructor(classes: readonly CharacterClass[], alphabet: Alphabet) {
    this.#classes = classes;
    this.#alphabet = alphabet;
  }

  push(step: Step): number {
    if (this.steps.length === MOST_STEPS) throw new UnsupportedPattern('too many repetitions');
    return this.steps.push(step) - 1;
  }

  /** Adds a pattern that continues at `next`. @returns its entry */
  add(pattern: Pattern, next: number): number {
    if (pattern.kind === 'character')
      return this.push({ op: 'character', of: this.#classes.indexOf(pattern.of), next });
    if (pattern.kind === 'lookahead') {
      const { isNegative, of } = pattern;
      return this.push({ op: 'lookahead', of: this.#classes.indexOf(of), isNegative, next });
    }
    if (pattern.kind === 'sequence')
      return pattern.items.reduceRight((entry, item) => this.add(item, entry), next);
    if (pattern.kind === 'choice')
      return pattern.options
        .map((option) => this.add(option, next))
        .reduceRight((second, first) => this.push({ op: 'either', first, second }));
    return this.#repeat(pattern, next);
  }

  #repeat(pattern: Pattern & { kind: 'repeat' }, next: number): number {
    const { item, min, max, isPossessive } = pattern;
    if (isPossessive) this.#checkPossessive(item, next);
    let entry = next;
    if (max === Infinity) {
      const loop: Step & { op: 'either' } = { op: 'either', first: next, second: next };
      entry = this.push(loop);
      loop.first = this.add(item, entry);
    } else
      for (let i = min; i < max; i++)
        entry = this.push({ op: 'either', first: this.add(item, entry), second: next });
    for (let i = 0; i < min; i++) entry = this.add(item, entry);
    return entry;
  }

  /**
   * Greedy repetition is possessive where giving characters back cannot help: if what follows may be empty, or starts with
   * a character that is not repeated.
   */
  #checkPossessive(item: Pattern, next: number): void {
    const repeated = item.kind === 'character' ? this.#classes.indexOf(item.of) : -1;
    const { contains, size } = this.#alphabet;
    const follows = (at: number): boolean => {
      const step = this.steps[at];
      if (step.op === 'match') return true;
      if (step.op === 'either') return follows(step.first) && follows(step.second);
      if (step.op !== 'character') return false;
      for (let column = 0; column < size; column++)
        if (contains[repeated][column] && contains[step.of][column]) return false;
      return true;
    };
    if (repeated < 0 || !(this.#mayEnd(next) || follows(next)))
      throw new UnsupportedPattern('possessive repetition of what may also follow it');
  }

  #mayEnd(at: number): boolean {
    const step = this.steps[at];
    return (
      step.op === 'match' || (step.op === 'either' && (this.#mayEnd(step.first) || this.#mayEnd(step.second)))
    );
  }
}

/** The subset construction. A list of positions is closed over empty transitions when the next character is known. */
function determinize(
  steps: readonly Step[],
  entry: number,
  { columns, size, contains }: Alphabet,
): Automaton {
  const states = new Map<string, number>([['', 0]]); // 0: no position
  const lists: number[][] = [[]];
  const stateOf = (list: number[]): number => {
    const key = list.join();
    const known = states.get(key);
    if (known !== undefined) return known;
    if (lists.length === MOST_STATES) throw new UnsupportedPattern('too many states');
    states.set(key, lists.length);
    return lists.push(list) - 1;
  };
  const start = stateOf([entry]);
  const rows: number[] = Array<number>(size).fill(0); // of state 0
  for (let state = start; state < lists.length; state++)
    for (let column = 0; column < size; column++) {
      const { next, matches } = advance(steps, lists[state], (of) => contains[of][column]);
      rows.push(2 * size * stateOf(next) + Number(matches));
    }
  return { columns, width: size, table: Int32Array.from(rows), start: start * size };
}

/** One step of all positions at once, on a character that is in the classes that `isIn` says. */
function advance(
  steps: readonly Step[],
  list: readonly number[],
  isIn: (of: number) => boolean,
): { next: number[]; matches: boolean } {
  const next = new Set<number>();
  const seen = new Set<number>();
  const pending = list.toReversed(); // a stack, the preferred position on top
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const step = steps[at];
    if (step.op === 'match') return { next: [...next], matches: true };
    if (step.op === 'either') pending.push(step.second, step.first);
    else if (step.op === 'lookahead') {
      if (isIn(step.of) !== step.isNegative) pending.push(step.next);
    } else if (isIn(step.of)) next.add(step.next);
  }
  return { next: [...next], matches: false };
}

function matchesNothing({ table, start, width }: Automaton): boolean {
  return table.subarray(start, start + width).some((entry) => (entry & 1) === 1);
}
