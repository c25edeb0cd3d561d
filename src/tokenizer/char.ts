/**
 * The character tokenizer: every Unicode code point is a token. Ids go in the order of code points, so the 65 characters of
 * tinyshakespeare get the ids nanoGPT gives them; `<unk>` comes last.
 */
import { shownJson } from '../json.ts';
import { lastLineEnd } from './pieces.ts';
import type { JsonObject, Refuse } from './tokenizer-json.ts';
import {
  selectVocabulary,
  textOfTokens,
  UNK,
  type Encoder,
  type Tokenizer,
  type Unknown,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';
import { isWordLevel, readWordLevel, wordLevelJson } from './word-level-json.ts';

/** One character, line breaks included: `.` would leave those together. */
const CHAR_PATTERN = '[\\s\\S]';

export function createCharTokenizer(vocabulary: readonly string[]): Tokenizer {
  const unkId = vocabulary.length - 1;
  // Characters of the basic plane are looked up in a table of UTF-16 units; the others, two units long, in a map.
  const table = new Int32Array(0x10000).fill(-1);
  const others = new Map<number, number>();
  vocabulary.forEach((token, id) => {
    if (id === unkId) return;
    const point = token.codePointAt(0)!;
    if (point < 0x10000) table[point] = id;
    else others.set(point, id);
  });

  return {
    kind: 'char',
    vocabSize: vocabulary.length,
    unkId,
    endOfTextId: undefined,
    vocabulary,
    encoder: (onUnknown) => charEncoder(table, others, unkId, onUnknown),
    cut: lastLineEnd,
    ...textOfTokens(vocabulary),
    toJSON: () => wordLevelJson(vocabulary, CHAR_PATTERN),
  };
}

function charEncoder(
  table: Int32Array,
  others: ReadonlyMap<number, number>,
  unkId: number,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): Encoder {
  let position = 0;
  let carried = ''; // the first half of a character whose second half is in the next piece
  const encodeText = (text: string): Uint32Array => {
    const ids = new Uint32Array(text.length);
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let id = table[unit];
      if (id < 0) {
        const point = text.codePointAt(i)!;
        id = others.get(point) ?? unkId;
        if (id === unkId) onUnknown?.({ text: String.fromCodePoint(point), position: position + count });
        if (point > 0xffff) i++;
      }
      ids[count++] = id;
    }
    position += count;
    return ids.subarray(0, count);
  };
  return {
    push(piece) {
      let text = carried + piece;
      carried = '';
      if (isHighSurrogate(text.charCodeAt(text.length - 1))) {
        carried = text.slice(-1);
        text = text.slice(0, -1);
      }
      return encodeText(text.toWellFormed());
    },
    end() {
      const rest = carried.toWellFormed();
      carried = '';
      return encodeText(rest);
    },
  };
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;

export function charVocabulary(options: VocabularyOptions): VocabularyBuilder {
  const table = new Float64Array(0x10000);
  const others = new Map<number, number>();
  let carried = '';
  const count = (text: string): void => {
    for (let i = 0; i < text.length; i++) {
      const point = text.codePointAt(i)!;
      if (point > 0xffff) {
        others.set(point, (others.get(point) ?? 0) + 1);
        i++;
      } else table[point]++;
    }
  };
  return {
    push(piece) {
      let text = carried + piece;
      carried = '';
      if (isHighSurrogate(text.charCodeAt(text.length - 1))) {
        carried = text.slice(-1);
        text = text.slice(0, -1);
      }
      count(text.toWellFormed());
    },
    end() {
      count(carried.toWellFormed());
      const counts = new Map<string, number>();
      table.forEach((n, point) => n > 0 && counts.set(String.fromCodePoint(point), n));
      for (const [point, n] of others) counts.set(String.fromCodePoint(point), n);
      return createCharTokenizer(selectVocabulary(counts, options, 'code point'));
    },
  };
}

export const isCharJson = (json: JsonObject): boolean => isWordLevel(json, CHAR_PATTERN);

export function charFromJson(json: JsonObject, fail: Refuse): Tokenizer {
  const vocabulary = readWordLevel(json, fail);
  const long = vocabulary.find((token) => token !== UNK && Array.from(token).length !== 1);
  if (long !== undefined) fail(`"model.vocab" has ${shownJson(long)}, which is not one character`);
  return createCharTokenizer(vocabulary);
}
