/**
 * Parses the regular expressions of tokenizer.json. They are written for Oniguruma; accepted is the part of its syntax that
 * a deterministic automaton can run (pattern-automaton.ts): characters, classes, groups, alternatives, repetition, and
 * lookahead at the next character. Everything else is refused, so that no pattern silently means something different.
 */
import { WHITE_SPACE } from '../pieces.ts';
import { propertyClass } from '../unicode-versions.ts';

/** A set of characters as a class for a RegExp with flag v. */
export type CharacterClass = string;

export type Pattern =
  | { readonly kind: 'character'; readonly of: CharacterClass }
  | { readonly kind: 'sequence'; readonly items: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly options: readonly Pattern[] }
  | {
      readonly kind: 'repeat';
      readonly item: Pattern;
      readonly min: number;
      /** Infinity: no limit. */
      readonly max: number;
      /** Never gives back characters for what follows to match. */
      readonly isPossessive: boolean;
    }
  /** The next character is in the class, or not; the end of the text is in no class. */
  | { readonly kind: 'lookahead'; readonly of: CharacterClass; readonly isNegative: boolean };

/** The message names the unsupported construct. */
export class UnsupportedPattern extends Error {}

/** Deepest nesting of groups, and the largest repetition count. */
const DEEPEST = 20;
const LARGEST_COUNT = 100;

export function parsePattern(source: string): Pattern {
  const parser = new Parser(source);
  const pattern = parser.choice(0, false);
  if (!parser.isAtEnd) throw new UnsupportedPattern('an unmatched )');
  return pattern;
}

/** A pattern that matches exactly this text. */
export const literalPattern = (text: string): Pattern => ({
  kind: 'sequence',
  items: Array.from(text, (character) => ({ kind: 'character', of: classOf(character) })),
});

const classOf = (character: string): CharacterClass => `[${escaped(character)}]`;
const escaped = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`;

const SPACES = Array.from(WHITE_SPACE, escaped).join('');
const CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v' };
/** Pairs that Oniguruma, ignoring case, also finds in a single character such as ß or ﬁ. */
const FOLDED_PAIRS = /ss|st|f[fil]/i;

class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#source.length;
  }

  /** @param depth number of enclosing groups */
  choice(depth: number, ignoresCase: boolean): Pattern {
    if (depth > DEEPEST) throw new UnsupportedPattern(`groups nested more than ${DEEPEST} deep`);
    const options = [this.#sequence(depth, ignoresCase)];
    while (this.#take('|')) options.push(this.#sequence(depth, ignoresCase));
    return options.length === 1 ? options[0] : { kind: 'choice', options };
  }

  #sequence(depth: number, ignoresCase: boolean): Pattern {
    const items: Pattern[] = [];
    while (!this.isAtEnd && !this.#sees('|') && !this.#sees(')')) {
      const item = this.#atom(depth, ignoresCase);
      items.push(item.kind === 'lookahead' ? item : this.#repeated(item));
    }
    return items.length === 1 ? items[0] : { kind: 'sequence', items };
  }

  #atom(depth: number, ignoresCase: boolean): Pattern {
    if (this.#take('(?:')) return this.#group(depth, ignoresCase);
    if (this.#take('(?i:')) {
      const from = this.#at;
      const group = this.#group(depth, true);
      if (FOLDED_PAIRS.test(this.#source.slice(from, this.#at)))
        throw new UnsupportedPattern('letters such as ss or fi without regard to case');
      return group;
    }
    const isNegative = this.#sees('(?!');
    if (this.#take('(?=') || this.#take('(?!')) {
      const ahead = this.#group(depth, false);
      if (ahead.kind !== 'character') throw new UnsupportedPattern('lookahead at more than one character');
      return { kind: 'lookahead', of: ahead.of, isNegative };
    }
    if (this.#sees('(?')) throw new UnsupportedPattern(`${this.#source.slice(this.#at, this.#at + 4)}…`);
    if (this.#take('(')) return this.#group(depth, ignoresCase);
    if (this.#take('[')) {
      if (ignoresCase) throw new UnsupportedPattern('a class without regard to case');
      return { kind: 'character', of: this.#class() };
    }
    for (const special of '*+?{}^$.]')
      if (this.#sees(special)) throw new UnsupportedPattern(`${special} at position ${this.#at + 1}`);
    if (this.#take('\\')) {
      if (ignoresCase) throw new UnsupportedPattern('\\ without regard to case');
      return { kind: 'character', of: `[${this.#escape()}]` };
    }
    const character = this.#character();
    if (!ignoresCase) return { kind: 'character', of: classOf(character) };
    if (character > '\x7f') throw new UnsupportedPattern(`${character} without regard to case`);
    return { kind: 'character', of: bothCases(character) };
  }

  #group(depth: number, ignoresCase: boolean): Pattern {
    const inner = this.choice(depth + 1, ignoresCase);
    if (!this.#take(')')) throw new UnsupportedPattern('an unmatched (');
    return inner;
  }

  #repeated(item: Pattern): Pattern {
    const counts = this.#counts();
    if (counts === undefined) return item;
    const isBraced = this.#source[this.#at - 1] === '}';
    if (this.#sees('?')) throw new UnsupportedPattern('lazy repetition');
    // After {m,n}, Oniguruma reads + as another repetition.
    const isPossessive = !isBraced && this.#take('+');
    if (['*', '+', '{'].some((next) => this.#sees(next)))
      throw new UnsupportedPattern('repetition of a repetition');
    return { kind: 'repeat', item, ...counts, isPossessive };
  }

  #counts(): { min: number; max: number } | undefined {
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (!this.#sees('{')) return undefined;
    const braces = /^\{(?:(\d{1,4})|(\d{0,4}),(\d{0,4}))\}/.exec(this.#source.slice(this.#at, this.#at + 11));
    const [all, exactly, least, most] = braces ?? [];
    if (all === undefined || all === '{,}') throw new UnsupportedPattern('a { without counts');
    this.#at += all.length;
    const min = Number(exactly ?? least);
    const max = exactly !== undefined ? min : most === '' ? Infinity : Number(most);
    if (max < min || Math.max(min, max === Infinity ? 0 : max) > LARGEST_COUNT)
      throw new UnsupportedPattern(`the counts ${all}`);
    return { min, max };
  }

  /** After [. */
  #class(): CharacterClass {
    const isNegative = this.#take('^');
    let items = '';
    for (let isFirst = true; !this.#take(']'); isFirst = false) {
      if (this.isAtEnd) throw new UnsupportedPattern('an unmatched [');
      if (this.#sees('[')) throw new UnsupportedPattern('a class in a class');
      if (this.#sees('&&')) throw new UnsupportedPattern('an intersection of classes');
      if (this.#sees(']') && isFirst) throw new UnsupportedPattern('an empty class');
      const start = this.#classItem();
      const isRange = this.#sees('-') && this.#source[this.#at + 1] !== ']' && start.startsWith('\\u{');
      if (!isRange) {
        items += start;
        continue;
      }
      this.#at++;
      const end = this.#classItem();
      if (!end.startsWith('\\u{') || codeIn(end) < codeIn(start))
        throw new UnsupportedPattern(`a range to ${this.#source[this.#at - 1]}`);
      items += `${start}-${end}`;
    }
    if (items === '') throw new UnsupportedPattern('an empty class');
    return `[${isNegative ? '^' : ''}${items}]`;
  }

  #classItem(): string {
    return this.#take('\\') ? this.#escape() : escaped(this.#character());
  }

  /** After a backslash; the content of a class. */
  #escape(): string {
    const property = /^([pP])\{(\^?)(\w+)\}/.exec(this.#source.slice(this.#at, this.#at + 30));
    if (property !== null) {
      const [all, letter, caret, name] = property;
      this.#at += all.length;
      const set = propertyClass(name);
      if (set === undefined) throw new UnsupportedPattern(`\\p{${name}}`);
      return (letter === 'P') === (caret === '^') ? set : `[^${set}]`;
    }
    const hex = /^(?:x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(
      this.#source.slice(this.#at, this.#at + 9),
    );
    if (hex !== null) {
      this.#at += hex[0].length;
      const code = Number.parseInt(hex[1] ?? hex[2] ?? hex[3], 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (hex[2] !== undefined && code > 0x7f))
        throw new UnsupportedPattern(`\\${hex[0]}`);
      return `\\u{${code.toString(16)}}`;
    }
    const letter = this.isAtEnd ? '' : this.#character();
    if (letter === 's') return `[${SPACES}]`;
    if (letter === 'S') return `[^${SPACES}]`;
    if (letter === 'd') return propertyClass('Nd')!;
    if (letter === 'D') return `[^${propertyClass('Nd')!}]`;
    if (letter in CONTROLS) return escaped(CONTROLS[letter]);
    if (letter === '' || /[\p{L}\p{N}]/u.test(letter)) throw new UnsupportedPattern(`\\${letter}`);
    return escaped(letter);
  }

  #character(): string {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    this.#at += character.length;
    return character;
  }

  #sees(text: string): boolean {
    return this.#source.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const sees = this.#sees(text);
    if (sees) this.#at += text.length;
    return sees;
  }
}

const codeIn = (item: string): number => Number.parseInt(item.slice(3, -1), 16);

/** Characters that equal an ASCII character if case is ignored; among them the Kelvin sign and the long s. */
function bothCases(character: string): CharacterClass {
  const others = { k: ['\u212a'], s: ['\u017f'] }[character.toLowerCase()] ?? [];
  const all = new Set([character.toLowerCase(), character.toUpperCase(), ...others]);
  return `[${Array.from(all, escaped).join('')}]`;
}
