/**
 * The word tokenizer: words, punctuation and white space are tokens (word-pieces.ts says how text is cut). Decoding gives back
 * the very text as long as every piece is in the vocabulary; a piece that is not becomes `<unk>` as a whole, the space in
 * front of it included. Ids go by frequency, the most frequent first; `<unk>` comes last.
 */
import { PieceTable } from './piece-table.ts';
import { lastLineEnd, LONGEST_WORD, PieceCounter, pieceCutter } from './pieces.ts';
import { countPoints, textOf, UnitReader } from './text-units.ts';
import type { JsonObject, Refuse } from './tokenizer-json.ts';
import {
  selectVocabulary,
  textOfTokens,
  type Encoder,
  type Tokenizer,
  type Unknown,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';
import { isWordLevel, readWordLevel, wordLevelJson } from './word-level-json.ts';
import { WORDS, WORDS_CUT_AT_MARKS, type WordRule } from './word-pieces.ts';

/** @param rule how text is cut: a tokenizer keeps the rule that its vocabulary was collected with */
export function createWordTokenizer(vocabulary: readonly string[], rule = WORDS): Tokenizer {
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
    encoder: (onUnknown) => wordEncoder(rule, ids, unkId, onUnknown),
    cut: lastLineEnd,
    ...textOfTokens(vocabulary),
    toJSON: () => wordLevelJson(vocabulary, rule.pattern),
  };
}

function wordEncoder(
  rule: WordRule,
  table: PieceTable,
  unkId: number,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): Encoder {
  const cut = pieceCutter(rule.starts, LONGEST_WORD);
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
  const counter = new PieceCounter(WORDS.starts, LONGEST_WORD);
  return {
    push: (text) => counter.push(text, false),
    end() {
      counter.push('', true);
      const { table, counts } = counter;
      const byText = new Map(counts.map((n, id) => [table.text(id), n]));
      return createWordTokenizer(selectVocabulary(byText, options, 'frequency'));
    },
  };
}

const rules = [WORDS, WORDS_CUT_AT_MARKS];
const ruleOf = (json: JsonObject): WordRule | undefined =>
  rules.find(({ pattern }) => isWordLevel(json, pattern));

export const isWordJson = (json: JsonObject): boolean => ruleOf(json) !== undefined;

export const wordFromJson = (json: JsonObject, fail: Refuse): Tokenizer =>
  createWordTokenizer(readWordLevel(json, fail), ruleOf(json));
