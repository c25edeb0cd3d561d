/**
 * Character tokenizer: every Unicode code point is a token. Ids are in code-point order with `<unk>` last, so the 65
 * characters of tinyshakespeare have nanoGPT's ids.
 */
import { shownJson } from '../json.ts';
import type { OrdinaryEncoder } from './special-tokens.ts';
import type { JsonObject, Refuse } from './tokenizer-json.ts';
import type { TokenizerSettings } from './tokenizer-settings.ts';
import {
  knownIds,
  NO_ID,
  type Tokenizer,
  type Unknown,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';
import { isWordLevel, newWordLevel, readWordLevel, type WordLevelModel } from './word-level-json.ts';
import { wordLevelTokenizer, wordLevelVocabulary, type TokenCounter } from './word-level.ts';

/** One character, including line breaks, which `.` does not match. */
const CHAR_PATTERN = '[\\s\\S]';

export const createCharTokenizer = (vocabulary: readonly string[], special?: readonly string[]): Tokenizer =>
  charTokenizer(newWordLevel(vocabulary, special));

function charTokenizer(model: WordLevelModel): Tokenizer {
  const { tokens, unkId, added } = model;
  // Characters of the basic multilingual plane are looked up in an array by UTF-16 unit, all others in a map.
  const table = new Int32Array(0x10000).fill(-1);
  const others = new Map<number, number>();
  tokens.forEach((token, id) => {
    const point = token.codePointAt(0) ?? 0;
    if (token !== String.fromCodePoint(point)) return; // added token or <unk>
    if (added.get(id)?.special === true) return; // found before ordinary text, which it must not be
    if (point < 0x10000) table[point] = id;
    else others.set(point, id);
  });
  return wordLevelTokenizer(model, {
    kind: 'char',
    pattern: CHAR_PATTERN,
    ordinary: (onUnknown) => charEncoder(table, others, unkId, onUnknown),
  });
}

/** Encodes the text between special tokens; without `<unk>`, unknown characters are an error or are left out (`knownIds`). */
function charEncoder(
  table: Int32Array,
  others: ReadonlyMap<number, number>,
  unkId: number | undefined,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): OrdinaryEncoder {
  const unknownId = unkId ?? NO_ID;
  const wholeCharacters = characterJoiner();
  let position = 0;
  return {
    get position() {
      return position;
    },
    encode(piece, final) {
      const text = wholeCharacters(piece, final);
      const ids = new Uint32Array(text.length);
      let count = 0;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        let id = table[unit];
        if (id < 0) {
          const point = text.codePointAt(i)!;
          id = others.get(point) ?? unknownId;
          if (id === unknownId)
            onUnknown?.({ text: String.fromCodePoint(point), position: position + count });
          if (point > 0xffff) i++; // its low surrogate
        }
        ids[count++] = id;
      }
      position += count;
      const all = ids.subarray(0, count);
      return unkId === undefined ? knownIds(all, onUnknown) : all;
    },
  };
}

/**
 * Joins chunks into whole characters: a high surrogate at the end of a chunk waits for the low one. A surrogate without its
 * other half becomes U+FFFD.
 */
function characterJoiner(): (piece: string, final: boolean) => string {
  let carried = '';
  return (piece, final) => {
    let text = carried + piece;
    carried = '';
    if (!final && isHighSurrogate(text.charCodeAt(text.length - 1))) {
      carried = text.slice(-1);
      text = text.slice(0, -1);
    }
    return text.toWellFormed();
  };
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;

export const charVocabulary = (options: VocabularyOptions): VocabularyBuilder =>
  wordLevelVocabulary(characterCounter(), options, 'code point', createCharTokenizer);

/** Counts the characters of a text, to choose a vocabulary. */
function characterCounter(): TokenCounter {
  const table = new Float64Array(0x10000);
  const others = new Map<number, number>();
  const wholeCharacters = characterJoiner();
  return {
    add(piece, final) {
      const text = wholeCharacters(piece, final);
      for (let i = 0; i < text.length; i++) {
        const point = text.codePointAt(i)!;
        if (point > 0xffff) {
          others.set(point, (others.get(point) ?? 0) + 1);
          i++; // its low surrogate
        } else table[point]++;
      }
    },
    counts() {
      const counts = new Map<string, number>();
      table.forEach((n, point) => n > 0 && counts.set(String.fromCodePoint(point), n));
      for (const [point, n] of others) counts.set(String.fromCodePoint(point), n);
      return counts;
    },
  };
}

export const isCharJson = (json: JsonObject): boolean => isWordLevel(json, CHAR_PATTERN);

export function charFromJson(json: JsonObject, fail: Refuse, settings: TokenizerSettings): Tokenizer {
  const model = readWordLevel(json, fail, settings);
  const { tokens, unkId, added } = model;
  const long = tokens.find((token, id) => id !== unkId && !added.has(id) && Array.from(token).length !== 1);
  if (long !== undefined) fail(`"model.vocab" has ${shownJson(long)}, which is not one character`);
  return charTokenizer(model);
}
