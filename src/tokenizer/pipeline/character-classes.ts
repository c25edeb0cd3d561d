/** Groups code points that no class of a set tells apart, so that an automaton's table has one column per group. */
import type { CharacterClass } from './pattern-syntax.ts';

export interface Alphabet {
  /** Column of each code point. */
  readonly columns: Uint8Array;
  /** Number of columns. The last one is the end of the text. */
  readonly size: number;
  /** By class: whether it contains the characters of a column. */
  readonly contains: readonly (readonly boolean[])[];
}

const POINTS = 0x110000;
const MOST_COLUMNS = 255;
/** Blocks of code points that have assigned characters; no class tells the others apart. Surrogates are left out. */
const BLOCKS: readonly Range[] = [
  [0, 0xd800],
  [0xe000, 0x10000],
  [0x10000, 0x20000],
  [0x20000, 0x30000],
  [0x30000, 0x40000],
  [0xe0000, 0xf0000],
];

/** The characters of each block as one text. */
let blocks: readonly { readonly start: number; readonly text: string }[] | undefined;
const blockTexts = (): NonNullable<typeof blocks> =>
  (blocks ??= BLOCKS.map(([start, end]) => {
    const width = start >= 0x10000 ? 2 : 1;
    const units = new Uint16Array(width * (end - start));
    for (let point = start, at = 0; point < end; point++) {
      if (width === 2) units[at++] = 0xd7c0 + (point >> 10);
      units[at++] = width === 2 ? 0xdc00 | (point & 0x3ff) : point;
    }
    return { start, text: Buffer.from(units.buffer).toString('utf16le') };
  }));

/** Caches the ranges of each class: most patterns share a few classes. */
const known = new Map<CharacterClass, readonly Range[]>();
const MAX_KNOWN = 100;

/** Code points `from` to `to` (exclusive). */
type Range = readonly [from: number, to: number];

const LISTED = /^\[(?:\\u\{[0-9a-f]+\}(?:-\\u\{[0-9a-f]+\})?)+\]$/;

function rangesOf(of: CharacterClass): readonly Range[] {
  const cached = known.get(of);
  if (cached !== undefined) return cached;
  const ranges = LISTED.test(of) ? listedRanges(of) : foundRanges(of);
  if (known.size === MAX_KNOWN) known.clear();
  known.set(of, ranges);
  return ranges;
}

/** Ranges of a class that lists its characters. */
const listedRanges = (of: CharacterClass): Range[] =>
  Array.from(of.matchAll(/\\u\{(\w+)\}(?:-\\u\{(\w+)\})?/g), ([, first, last]) => [
    Number.parseInt(first, 16),
    Number.parseInt(last ?? first, 16) + 1,
  ]);

function foundRanges(of: CharacterClass): Range[] {
  const run = new RegExp(`${of}+`, 'gv');
  return blockTexts().flatMap(({ start, text }) => {
    const width = start >= 0x10000 ? 2 : 1;
    return Array.from(text.matchAll(run), ({ 0: found, index }): Range => {
      const from = start + index / width;
      return [from, from + found.length / width];
    });
  });
}

/** @returns undefined if the classes tell more than 254 kinds of characters apart */
export function alphabetOf(classes: readonly CharacterClass[]): Alphabet | undefined {
  const columns = new Uint8Array(POINTS);
  let members: boolean[][] = [[]]; // by column, the classes seen so far
  const counts = [POINTS]; // characters by column
  for (const each of classes) {
    const inside = new Map<number, number>(); // column → the column of its characters in the class
    // The ranges of a class are disjoint, except where it lists a character twice.
    const others = new Set<number>();
    for (const [from, to] of rangesOf(each))
      for (let point = from; point < to; point++) {
        const column = columns[point];
        if (others.has(column)) continue;
        let other = inside.get(column);
        if (other === undefined) {
          inside.set(column, (other = members.length + inside.size));
          others.add(other);
          counts[other] = 0;
        }
        columns[point] = other;
        counts[column]--;
        counts[other]++;
      }
    const added = Array.from(inside.keys(), (column) => [...members[column], true]);
    members = [...members.map((before) => [...before, false]), ...added];
    if (members.length > MOST_COLUMNS) return undefined;
  }
  const used = counts.flatMap((count, column) => (count > 0 ? [column] : []));
  const numbers = new Uint8Array(MOST_COLUMNS + 1);
  used.forEach((column, i) => (numbers[column] = i));
  for (let point = 0; point < POINTS; point++) columns[point] = numbers[columns[point]];
  return {
    columns,
    size: used.length + 1,
    contains: classes.map((_, i) => [...used.map((column) => members[column][i]), false]),
  };
}
