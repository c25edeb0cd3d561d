/**
 * The word tokenizer: words, punctuation and white space are tokens (pieces.ts says how text is cut). Decoding gives back
 * the very text as long as every piece is in the vocabulary; a piece that is not becomes `<unk>` as a whole, the space in
 * front of it included. Ids go by frequency, the most frequent first; `<unk>` comes last.
 */
import { scanPieces, WORD_PATTERN } from './pieces.ts';
import { wordLevelJson } from './tokenizer-json.ts';
import {
  decodeIds,
  selectVocabulary,
  type Encoder,
  type Tokenizer,
  type Unknown,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';

export function createWordTokenizer(vocabulary: readonly string[]): Tokenizer {
  const unkId = vocabulary.length - 1;
  const ids = new Map(vocabulary.slice(0, unkId).map((token, id) => [token, id]));
  return {
    kind: 'word',
    vocabSize: vocabulary.length,
    unkId,
    vocabulary,
    encoder: (onUnknown) => wordEncoder(ids, unkId, onUnknown),
    decode: (tokens) => decodeIds(vocabulary, tokens),
    toJSON: () => wordLevelJson(vocabulary, WORD_PATTERN),
  };
}

function wordEncoder(
  ids: ReadonlyMap<string, number>,
  unkId: number,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): Encoder {
  let carried = '';
  let position = 0;
  const encodeText = (piece: string, final: boolean): Uint32Array => {
    const text = wellFormed(carried + piece, final);
    const out = new Uint32Array(text.length);
    let count = 0;
    const done = scanPieces(text, final, (start, end) => {
      const token = text.slice(start, end);
      const id = ids.get(token) ?? unkId;
      if (onUnknown !== undefined) {
        if (id === unkId) onUnknown({ text: token, position });
        position += countPoints(token);
      }
      out[count++] = id;
    });
    carried = text.slice(done);
    return out.subarray(0, count);
  };
  return { push: (piece) => encodeText(piece, false), end: () => encodeText('', true) };
}

export function wordVocabulary(options: VocabularyOptions): VocabularyBuilder {
  const counts = new Map<string, number>();
  let carried = '';
  const count = (piece: string, final: boolean): void => {
    const text = wellFormed(carried + piece, final);
    const done = scanPieces(text, final, (start, end) => {
      const token = text.slice(start, end);
      counts.set(token, (counts.get(token) ?? 0) + 1);
    });
    carried = text.slice(done);
  };
  return {
    push: (piece) => count(piece, false),
    end() {
      count('', true);
      return createWordTokenizer(selectVocabulary(counts, options, 'frequency'));
    },
  };
}

/** Lone surrogates become U+FFFD; one at the very end may still find its other half. */
function wellFormed(text: string, final: boolean): string {
  const open = !final && (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800;
  return open ? text.slice(0, -1).toWellFormed() + text.slice(-1) : text.toWellFormed();
}

function countPoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
