import { lastLineEnd } from './pieces.ts';
import type { Encoder, Unknown } from './tokenizer.ts';

/** Encodes the text between special tokens. */
export interface OrdinaryEncoder {
  /** @param final whether the last piece is complete */
  encode(text: string, final: boolean): Uint32Array;
  /** Number of characters encoded so far; used to report unknown tokens. */
  readonly position: number;
}

export interface SpecialEncoding {
  /** Ids of special tokens by text. */
  readonly ids: ReadonlyMap<string, number>;
  /** Those of them that are matched only in the text between the others; see `AddedToken.normalized`. */
  readonly secondPass: ReadonlySet<string>;
  /** Prepended to each text. */
  readonly firstId?: number | undefined;
  /** Prepend a space to ordinary text that starts without one, also after a special token. */
  readonly addPrefixSpace?: boolean;
  readonly unkId?: number | undefined;
  readonly onUnknown?: ((unknown: Unknown) => void) | undefined;
}

/**
 * Adds special tokens to an encoder of ordinary text.
 *
 * @param makeOrdinary receives a callback for unknown text, with positions that do not count special tokens
 */
export function encoderAround(
  makeOrdinary: (onUnknown?: (unknown: Unknown) => void) => OrdinaryEncoder,
  { ids, secondPass, firstId, addPrefixSpace = false, unkId, onUnknown }: SpecialEncoding,
): Encoder {
  const split = twoPassSplitter([...ids.keys()], secondPass);
  let isStart = true; // of the text
  let needsSpace = addPrefixSpace;
  let specialLength = 0; // in characters
  const ordinary = makeOrdinary(
    onUnknown && (({ text, position }) => onUnknown({ text, position: position + specialLength })),
  );
  const encode = (piece: string, final: boolean): Uint32Array => {
    const parts: Uint32Array[] = [];
    if (isStart && firstId !== undefined) parts.push(Uint32Array.of(firstId));
    isStart = false;
    for (const { text, special } of split(piece, final)) {
      const spaced = needsSpace && text !== '' && !text.startsWith(' ') ? ` ${text}` : text;
      if (text !== '') needsSpace = false;
      const encoded = ordinary.encode(spaced, final || special !== undefined);
      if (encoded.length > 0) parts.push(encoded);
      if (special === undefined) continue;
      const id = ids.get(special)!;
      if (id === unkId) onUnknown?.({ text: special, position: ordinary.position + specialLength });
      specialLength += Array.from(special).length;
      parts.push(Uint32Array.of(id));
      needsSpace = addPrefixSpace;
    }
    return joined(parts);
  };
  return {
    push: (text) => encode(text, false),
    end() {
      const rest = encode('', true);
      isStart = true;
      needsSpace = addPrefixSpace;
      return rest;
    },
  };
}

/** `Tokenizer.cut` for a text with special tokens, which may contain a line feed and must not be split. */
export const cutAround = (ids: ReadonlyMap<string, number>): ((text: string) => number) =>
  [...ids.keys()].some((token) => token.includes('\n')) ? () => 0 : lastLineEnd;

function joined(parts: readonly Uint32Array[]): Uint32Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Ordinary text and the special token that follows it, if any. */
interface Stretch {
  readonly text: string;
  readonly special: string | undefined;
}

/** Splits a text that arrives in chunks; the last stretch of a chunk has no special token. */
export type Splitter = (piece: string, final: boolean) => Stretch[];

/**
 * Finds special tokens such as `<|endoftext|>` in a text that arrives in chunks: leftmost first, and the longest of those
 * that start at the same position. A possible prefix of one at the end is held back for the next chunk.
 *
 * @param tokens not empty strings
 */
export function specialTokenSplitter(tokens: readonly string[]): Splitter {
  if (tokens.length === 0) return (text) => [{ text, special: undefined }];
  const longestFirst = tokens.toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((token) => escape(token)).join('|'), 'g');
  /** Earliest position from which the end of the text may be an incomplete special token. */
  const openEnd = (text: string, from: number): number => {
    for (let i = Math.max(from, text.length - longestFirst[0].length + 1); i < text.length; i++) {
      const rest = text.slice(i);
      if (tokens.some((token) => token.length > rest.length && token.startsWith(rest))) return i;
    }
    return text.length;
  };
  let held = '';
  return (piece, final) => {
    const text = held + piece;
    const stretches: Stretch[] = [];
    let from = 0;
    let end = final ? text.length : openEnd(text, 0);
    for (const { 0: special, index } of text.matchAll(pattern)) {
      if (index >= end) break;
      stretches.push({ text: text.slice(from, index), special });
      from = index + special.length;
      if (from > end) end = openEnd(text, from);
    }
    stretches.push({ text: text.slice(from, end), special: undefined });
    held = text.slice(end);
    return stretches;
  };
}

/** `specialTokenSplitter` in two passes: tokens of `second` are matched in the text between all others. */
function twoPassSplitter(tokens: readonly string[], second: ReadonlySet<string>): Splitter {
  const outer = specialTokenSplitter(tokens.filter((token) => !second.has(token)));
  const inner = specialTokenSplitter([...second]);
  return (piece, final) =>
    outer(piece, final).flatMap(({ text, special }) => {
      const stretches = inner(text, final || special !== undefined);
      return special === undefined
        ? stretches
        : [...stretches.slice(0, -1), { ...stretches.at(-1)!, special }];
    });
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
