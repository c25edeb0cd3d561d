/**
 * Word tokenizer: tokens are words, punctuation and white space (word-pieces.ts). Decoding restores the text if every piece
 * is in the vocabulary; any other becomes `<unk>`, together with the space before it. Ids are sorted by descending
 * frequency, with `<unk>` last.
 */
import { PieceTable } from './piece-table.ts';
import { LONGEST_WORD, PieceCounter, pieceCutter } from './pieces.ts';
import type { OrdinaryEncoder } from './special-tokens.ts';
import { countPoints, textOf, UnitReader } from './text-units.ts';
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
import { WORDS, WORDS_CUT_AT_MARKS, type WordRule } from './word-pieces.ts';

const createWordTokenizer = (vocabulary: readonly string[], special?: readonly string[]): Tokenizer =>
  wordTokenizer(newWordLevel(vocabulary, special), WORDS);

/** @param rule the pre-tokenization rule with which the vocabulary was built */
function wordTokenizer(model: WordLevelModel, rule: WordRule): Tokenizer {
  const { tokens, unkId, added } = model;
  const table = new PieceTable();
  const reader = new UnitReader();
  tokens.forEach((token, id) => {
    // Ordinary text must not become a special token, so its entry is a string that is never a single piece.
    const { units, length } = reader.read(added.get(id)?.special === true ? `\0\0${id}` : token, true);
    table.add(units, 0, length);
    reader.keep(length);
  });
  return wordLevelTokenizer(model, {
    kind: 'word',
    pattern: rule.pattern,
    ordinary: (onUnknown) => wordEncoder(rule, table, unkId, onUnknown),
  });
}

function wordEncoder(
  rule: WordRule,
  table: PieceTable,
  unkId: number | undefined,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): OrdinaryEncoder {
  const cut = pieceCutter(rule.starts, LONGEST_WORD);
  const unknownId = unkId ?? NO_ID;
  let position = 0;
  return {
    get position() {
      return position;
    },
    encode(text, final) {
      const { units, starts, count } = cut(text, final);
      const ids = new Uint32Array(count);
      for (let i = 0; i < count; i++) {
        const id = table.find(units, starts[i], starts[i + 1]);
        ids[i] = id >= 0 ? id : unknownId;
      }
      if (onUnknown !== undefined)
        for (let i = 0; i < count; i++) {
          if (ids[i] === unknownId) onUnknown({ text: textOf(units, starts[i], starts[i + 1]), position });
          position += countPoints(units, starts[i], starts[i + 1]);
        }
      return unkId === undefined ? knownIds(ids, onUnknown) : ids;
    },
  };
}

export const wordVocabulary = (options: VocabularyOptions): VocabularyBuilder =>
  wordLevelVocabulary(wordCounter(), options, 'frequency', createWordTokenizer);

function wordCounter(): TokenCounter {
  const counter = new PieceCounter(WORDS.starts, LONGEST_WORD);
  return {
    add: (piece, final) => counter.push(piece, final),
    counts: () => new Map(counter.counts.map((n, id) => [counter.table.text(id), n])),
  };
}

const rules = [WORDS, WORDS_CUT_AT_MARKS];
const ruleOf = (json: JsonObject): WordRule | undefined =>
  rules.find(({ pattern }) => isWordLevel(json, pattern));

export const isWordJson = (json: JsonObject): boolean => ruleOf(json) !== undefined;

export const wordFromJson = (json: JsonObject, fail: Refuse, settings: TokenizerSettings): Tokenizer =>
  wordTokenizer(readWordLevel(json, fail, settings), ruleOf(json) ?? WORDS);
