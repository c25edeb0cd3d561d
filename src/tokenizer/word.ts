/**
 * The word tokenizer: words, punctuation and white space are tokens (pieces.ts says how text is cut). Decoding gives back
 * the very text as long as every piece is in the vocabulary; a piece that is not becomes `<unk>` as a whole, the space in
 * front of it included. Ids go by frequency, the most frequent first; `<unk>` comes last.
 */
import { PieceTable } from './piece-table.ts';
import { pieceStarts, WORD_PATTERN } from './pieces.ts';
import { countPoints, textOf, UnitReader, type TextUnits } from './text-units.ts';
import { wordLevelJson } from './tokenizer-json.ts';
import {
  selectVocabulary,
  textOfTokens,
  type Encoder,
  type Tokenizer,
  type Unknown,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';

export function createWordTokenizer(vocabulary: readonly string[]): Tokenizer {
  const unkId = vocabulary.length - 1;
  const ids = new PieceTable();
  const reader = new UnitReader();
  for (const token of vocabulary.slice(0, unkId)) {
    const { units, length } = reader.read(token, true);
    ids.add(units, 0, length);
    reader.keep(length);
  }
  return {
    kind: 'word',
    vocabSize: vocabulary.length,
    unkId,
    endOfTextId: undefined,
    vocabulary,
    encoder: (onUnknown) => wordEncoder(ids, unkId, onUnknown),
    ...textOfTokens(vocabulary),
    toJSON: () => wordLevelJson(vocabulary, WORD_PATTERN),
  };
}

function wordEncoder(
  table: PieceTable,
  unkId: number,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): Encoder {
  const cut = pieceCutter();
  let position = 0;
  const encodeText = (text: string, final: boolean): Uint32Array => {
    const { units, starts, count } = cut(text, final);
    const ids = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const id = table.find(units, starts[i], starts[i + 1]);
      ids[i] = id >= 0 ? id : unkId;
    }
    if (onUnknown !== undefined)
      for (let i = 0; i < count; i++) {
        if (ids[i] === unkId) onUnknown({ text: textOf(units, starts[i], starts[i + 1]), position });
        position += countPoints(units, starts[i], starts[i + 1]);
      }
    return ids;
  };
  return { push: (text) => encodeText(text, false), end: () => encodeText('', true) };
}

export function wordVocabulary(options: VocabularyOptions): VocabularyBuilder {
  const cut = pieceCutter();
  const table = new PieceTable();
  const counts: number[] = [];
  const countPieces = (text: string, final: boolean): void => {
    const { units, starts, count } = cut(text, final);
    for (let i = 0; i < count; i++) {
      const id = table.add(units, starts[i], starts[i + 1]);
      counts[id] = (counts[id] ?? 0) + 1;
    }
  };
  return {
    push: (text) => countPieces(text, false),
    end() {
      countPieces('', true);
      const byText = new Map(counts.map((n, id) => [table.text(id), n]));
      return createWordTokenizer(selectVocabulary(byText, options, 'frequency'));
    },
  };
}

/** A stretch of text and where its pieces start, valid until the next is cut: piece i ends where piece i + 1 starts. */
interface Pieces {
  readonly units: TextUnits;
  readonly starts: Uint32Array;
  readonly count: number;
}

/** Cuts a text that comes in stretches. What is not certain yet is cut together with the next stretch. */
function pieceCutter(): (text: string, final: boolean) => Pieces {
  const reader = new UnitReader();
  let starts = new Uint32Array(0);
  return (text, final) => {
    const { units, length } = reader.read(text, final);
    if (length >= starts.length) starts = new Uint32Array(2 * length + 1);
    const count = pieceStarts(units, length, final, starts);
    reader.keep(starts[count]);
    return { units, starts, count };
  };
}
