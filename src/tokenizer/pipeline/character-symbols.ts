/**
 * Pieces of text as the tokens of their characters. A character without a token becomes the tokens of its UTF-8 bytes, such
 * as `<0xE2>`, if all of them exist, or else the token for unknown text.
 */
import type { Merge, SymbolReader } from '../bpe-merging.ts';
import { byteSymbols } from '../byte-symbols.ts';
import type { PieceRule } from '../pieces.ts';
import { PairTable } from '../../pair-table.ts';
import type { TextUnits } from '../text-units.ts';
import { byteOfFallback } from './decoders.ts';
import type { LineCuts } from './line-cuts.ts';
import type { Division } from './pre-tokenizers.ts';

export interface CharacterVocabulary {
  /** By code point: the token of a character, or −1. */
  readonly ids: Int32Array;
  /** Token of each byte, or −1; undefined without byte fallback. */
  readonly byteIds: Int32Array | undefined;
  readonly unkId: number | undefined;
  /** Adjacent unknown characters become one token. */
  readonly fusesUnknown: boolean;
}

/** How characters without a token are encoded. */
export interface UnknownOptions extends Pick<CharacterVocabulary, 'unkId' | 'fusesUnknown'> {
  readonly hasByteFallback: boolean;
}

const POINTS = 0x110000;

export function characterVocabulary(
  tokens: Iterable<readonly [token: string, id: number]>,
  options: UnknownOptions,
): CharacterVocabulary {
  const ids = new Int32Array(POINTS).fill(-1);
  const byteIds = options.hasByteFallback ? new Int32Array(256).fill(-1) : undefined;
  for (const [token, id] of tokens) {
    const point = token.codePointAt(0) ?? 0;
    if (token === String.fromCodePoint(point)) ids[point] = id;
    // `tokenizers` looks up byte tokens with upper-case digits.
    const byte =
      byteIds && token === token.toUpperCase().replace('X', 'x') ? byteOfFallback(token) : undefined;
    if (byte !== undefined) byteIds![byte] = id;
  }
  return { ids, byteIds, unkId: options.unkId, fusesUnknown: options.fusesUnknown };
}

/** False if every byte has a token, so that no text is unknown. */
export const hasUnknown = ({ byteIds }: CharacterVocabulary): boolean =>
  byteIds === undefined || byteIds.includes(-1);

export function characterSymbols(vocabulary: CharacterVocabulary): SymbolReader {
  const { ids: idOf, byteIds, unkId, fusesUnknown } = vocabulary;
  const readBytes = byteSymbols(byteIds ?? new Int32Array(256).fill(-1));
  const bytes = new Int32Array(4);
  return (units, start, end, ids) => {
    let n = 0;
    // As in `tokenizers`, an unknown token waits until the next known one; byte tokens may overtake it.
    let isWaiting = false;
    for (let i = start; i < end;) {
      const point = pointAt(units, i);
      const next = point > 0xffff ? i + 2 : i + 1;
      const id = idOf[point];
      if (id >= 0) {
        if (isWaiting) ids[n++] = unkId!;
        isWaiting = false;
        ids[n++] = id;
      } else {
        const count = readBytes(units, i, next, bytes);
        const isKnown = byteIds !== undefined && !bytes.subarray(0, count).includes(-1);
        if (isKnown) for (let k = 0; k < count; k++) ids[n++] = bytes[k];
        else if (unkId !== undefined) {
          if (isWaiting && !fusesUnknown) ids[n++] = unkId;
          isWaiting = true;
        }
      }
      i = next;
    }
    if (isWaiting) ids[n++] = unkId!;
    return n;
  };
}

/** Calls back for each token of unknown text in a piece, with its position in UTF-16 units. */
export function findUnknown(
  { ids, byteIds, fusesUnknown }: CharacterVocabulary,
  units: TextUnits,
  start: number,
  end: number,
  found: (start: number, end: number) => void,
): void {
  const readBytes = byteSymbols(byteIds ?? new Int32Array(256).fill(-1));
  const bytes = new Int32Array(4);
  let from = -1;
  for (let i = start; i < end;) {
    const point = pointAt(units, i);
    const next = point > 0xffff ? i + 2 : i + 1;
    const isUnknown = ids[point] < 0 && bytes.subarray(0, readBytes(units, i, next, bytes)).includes(-1);
    if (from >= 0 && !(isUnknown && fusesUnknown)) {
      found(from, i);
      from = -1;
    }
    if (isUnknown && from < 0) from = i;
    i = next;
  }
  if (from >= 0) found(from, end);
}

function pointAt(units: TextUnits, i: number): number {
  const unit = units.getUint16(2 * i, true);
  return (unit & 0xfc00) === 0xd800
    ? 0x10000 + ((unit & 0x3ff) << 10) + (units.getUint16(2 * i + 2, true) & 0x3ff)
    : unit;
}

/**
 * Splits a text where no merge can join the two sides, so the ids stay the same. Without a pre-tokenizer a whole text is
 * one piece; with this rule its parts can be encoded while the text arrives, and cached.
 *
 * @param tokens by id
 * @returns undefined if a merge joins tokens of bytes or of unknown text
 */
export function unjoinedRule(
  vocabulary: CharacterVocabulary,
  tokens: readonly string[],
  merges: readonly Merge[],
): Division | undefined {
  const { ids, byteIds, unkId, fusesUnknown } = vocabulary;
  const notCharacters = new Set([...(byteIds ?? []), unkId]);
  const joined = new PairTable();
  for (const { left, right } of merges) {
    if (notCharacters.has(left) || notCharacters.has(right)) return undefined;
    const [last, first] = [ids[lastPoint(tokens[left])], ids[tokens[right].codePointAt(0)!]];
    if (last >= 0 && first >= 0) joined.add(last, first);
  }
  const mayFuse = fusesUnknown && hasUnknown(vocabulary);
  const lineFeed = ids[0x0a];
  const isJoinedTo = (side: 'first' | 'second'): boolean =>
    lineFeed < 0
      ? mayFuse
      : Array.from({ length: joined.size }, (_, pair) => joined[side](pair)).includes(lineFeed);
  const cuts: LineCuts = {
    before: isJoinedTo('second') ? 'never' : 'always',
    after: isJoinedTo('first') ? 'never' : 'always',
  };
  const rule: PieceRule = (units, from, end, final, starts, at) => {
    let count = at;
    let last = -2; // token of the character before
    starts[count] = from;
    for (let i = from; i < end;) {
      if (i + 1 === end && (units.getUint16(2 * i, true) & 0xfc00) === 0xd800) break; // its other half is to come
      const point = pointAt(units, i);
      const id = ids[point];
      const isJoined = id < 0 ? mayFuse && last === -1 : last >= 0 && joined.find(last, id) >= 0;
      if (i > from && !isJoined) starts[++count] = i;
      last = id;
      i += point > 0xffff ? 2 : 1;
    }
    if (final && end > from) starts[++count] = end;
    return count;
  };
  return { start: () => rule, cuts };
}

const lastPoint = (text: string): number => Array.from(text.slice(-2)).at(-1)!.codePointAt(0)!;
