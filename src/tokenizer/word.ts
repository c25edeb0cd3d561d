/**
 * Word tokenizer: tokens are words, punctuation and white space (word-pieces.ts). A rare word is spelled: it becomes its
 * characters, all of which are tokens as well, so decoding restores the text, and the model learns to spell. With
 * `--rare-words unk`, it becomes `<unk>`, together with the space before it. Ids are sorted by descending frequency,
 * followed by the characters that spell, by code point, and special tokens.
 */
import { PieceTable } from './piece-table.ts';
import { LONGEST_WORD, PieceCounter, pieceCutter } from './pieces.ts';
import type { OrdinaryEncoder } from './special-tokens.ts';
import { countPoints, textOf, UnitReader, unitsOfPoint } from './text-units.ts';
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
import {
  isSpelling,
  isWordLevel,
  newWordLevel,
  readWordLevel,
  type WordLevelModel,
} from './word-level-json.ts';
import { wordLevelTokenizer, wordLevelVocabulary, type TokenCounter } from './word-level.ts';
import { WORDS, WORDS_CUT_AT_MARKS, type WordRule } from './word-pieces.ts';

const createWordTokenizer =
  (spells: boolean) =>
  (vocabulary: readonly string[], special?: readonly string[]): Tokenizer =>
    wordTokenizer(newWordLevel(vocabulary, special, spells), WORDS);

/** @param rule the pre-tokenization rule with which the vocabulary was built */
function wordTokenizer(model: WordLevelModel, rule: WordRule): Tokenizer {
  const { tokens, unkId, added, spells } = model;
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
    ordinary: (onUnknown) => (spells ? spellingEncoder : wordEncoder)(rule, table, unkId, onUnknown),
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

/** Spells words that the vocabulary lacks. */
function spellingEncoder(
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
      const ids = new Uint32Array(starts[count] - starts[0]);
      let length = 0;
      for (let i = 0; i < count; i++) {
        const id = table.find(units, starts[i], starts[i + 1]);
        if (id >= 0) {
          ids[length++] = id;
          if (onUnknown !== undefined) position += countPoints(units, starts[i], starts[i + 1]);
          continue;
        }
        for (let start = starts[i], end: number; start < starts[i + 1]; start = end, position++) {
          end = start + unitsOfPoint(units, start);
          const character = table.find(units, start, end);
          if (character < 0) onUnknown?.({ text: textOf(units, start, end), position });
          ids[length++] = character >= 0 ? character : unknownId;
        }
      }
      const found = ids.slice(0, length);
      return unkId === undefined ? knownIds(found, onUnknown) : found;
    },
  };
}

export function wordVocabulary(options: VocabularyOptions): VocabularyBuilder {
  const spells = options.rareWords === 'spell';
  return wordLevelVocabulary(wordCounter(spells), options, 'frequency', createWordTokenizer(spells));
}

function wordCounter(spells: boolean): TokenCounter {
  const counter = new PieceCounter(WORDS.starts, LONGEST_WORD);
  const add = (piece: string, final: boolean): void => counter.push(piece, final);
  const counts = (): Map<string, number> =>
    new Map(counter.counts.map((n, id) => [counter.table.text(id), n]));
  if (!spells) return { add, counts };
  const characters = (): string[] => {
    const found = new Set<string>();
    for (let id = 0; id < counter.table.size; id++)
      for (const character of counter.table.text(id)) found.add(character);
    return [...found].toSorted((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  };
  return {
    add,
    characters,
    counts: () => new Map([...counts()].filter(([piece]) => !isOneCharacter(piece))),
  };
}

const isOneCharacter = (piece: string): boolean => String.fromCodePoint(piece.codePointAt(0)!) === piece;

const rules = [WORDS, WORDS_CUT_AT_MARKS];
const ruleOf = (json: JsonObject): WordRule | undefined =>
  rules.find(({ pattern }) => isWordLevel(json, pattern) || isSpelling(json, pattern));

export const isWordJson = (json: JsonObject): boolean => ruleOf(json) !== undefined;

export const wordFromJson = (json: JsonObject, fail: Refuse, settings: TokenizerSettings): Tokenizer =>
  wordTokenizer(readWordLevel(json, fail, settings), ruleOf(json) ?? WORDS);
