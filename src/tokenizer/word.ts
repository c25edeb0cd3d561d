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
  hasFallbackModel,
  isWordLevel,
  newWordLevel,
  readWordLevel,
  type WordLevelModel,
} from './word-level-json.ts';
import { unspacedScript } from './unspaced-scripts.ts';
import { wordLevelTokenizer, wordLevelVocabulary, type TokenCounter } from './word-level.ts';
import { WORDS, WORDS_CUT_AT_MARKS, type WordRule } from './word-pieces.ts';

const createWordTokenizer =
  (hasCharacterFallback: boolean) =>
  (vocabulary: readonly string[], special?: readonly string[]): Tokenizer =>
    wordTokenizer(newWordLevel(vocabulary, special, hasCharacterFallback), WORDS);

/** @param rule the pre-tokenization rule with which the vocabulary was built */
function wordTokenizer(model: WordLevelModel, rule: WordRule): Tokenizer {
  const { tokens, added } = model;
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
    ordinary: (onUnknown) => wordEncoder(model, rule, table, onUnknown),
  });
}

function wordEncoder(
  { unkId, hasCharacterFallback }: WordLevelModel,
  rule: WordRule,
  table: PieceTable,
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
      const ids = new Uint32Array(hasCharacterFallback ? starts[count] - starts[0] : count);
      let length = 0;
      const checked = (id: number, start: number, end: number): number => {
        if (id < 0) onUnknown?.({ text: textOf(units, start, end), position });
        if (onUnknown !== undefined) position += countPoints(units, start, end);
        return id >= 0 ? id : unknownId;
      };
      for (let i = 0; i < count; i++) {
        const start = starts[i];
        const end = starts[i + 1];
        const id = table.find(units, start, end);
        if (id >= 0 || !hasCharacterFallback) ids[length++] = checked(id, start, end);
        else
          for (let at = start, next: number; at < end; at = next) {
            next = at + unitsOfPoint(units, at);
            ids[length++] = checked(table.find(units, at, next), at, next);
          }
      }
      const found = length < ids.length ? ids.slice(0, length) : ids;
      return unkId === undefined ? knownIds(found, onUnknown) : found;
    },
  };
}

export function wordVocabulary(options: VocabularyOptions): VocabularyBuilder {
  const hasCharacterFallback = options.rareWords === 'spell';
  const counter = new PieceCounter(WORDS.starts, LONGEST_WORD);
  const words = tokenCounter(counter);
  const builder = wordLevelVocabulary(
    hasCharacterFallback ? withCharacters(words) : words,
    options,
    'frequency',
    createWordTokenizer(hasCharacterFallback),
  );
  return {
    ...builder,
    end: () => ({ ...builder.end(), unspacedScript: unspacedScript(words.counts().keys()) }),
  };
}

function tokenCounter(counter: PieceCounter): TokenCounter {
  let counted: Map<string, number> | undefined;
  return {
    add(piece, final) {
      counted = undefined;
      counter.push(piece, final);
    },
    counts: () => (counted ??= new Map(counter.counts.map((n, id) => [counter.table.text(id), n]))),
  };
}

/**
 * The rarest words of a text must be spelled, since nothing else trains the characters. A longer text needs one occurrence for
 * each 375,000 characters, which keeps the vocabulary small. docs/recipe-experiments.md#rare-words has the measurement, on texts of one and
 * four million characters.
 */
const [MIN_OCCURRENCES, CHARACTERS_PER_OCCURRENCE] = [3, 375_000];

/** Counts words of several characters; every character of the text is a token. */
const withCharacters = (words: TokenCounter): TokenCounter => ({
  add: (piece, final) => words.add(piece, final),
  counts: () => new Map([...words.counts()].filter(([word]) => !isOneCharacter(word))),
  characters() {
    const found = new Set<string>();
    for (const word of words.counts().keys()) for (const character of word) found.add(character);
    return [...found].toSorted((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  },
  minFrequency() {
    let length = 0;
    for (const [word, count] of words.counts()) length += count * Array.from(word).length;
    return Math.max(MIN_OCCURRENCES, Math.round(length / CHARACTERS_PER_OCCURRENCE));
  },
});

const isOneCharacter = (piece: string): boolean => String.fromCodePoint(piece.codePointAt(0)!) === piece;

const rules = [WORDS, WORDS_CUT_AT_MARKS];
const ruleOf = (json: JsonObject): WordRule | undefined =>
  rules.find(({ pattern }) => isWordLevel(json, pattern) || hasFallbackModel(json, pattern));

export const isWordJson = (json: JsonObject): boolean => ruleOf(json) !== undefined;

export const wordFromJson = (json: JsonObject, fail: Refuse, settings: TokenizerSettings): Tokenizer =>
  wordTokenizer(readWordLevel(json, fail, settings), ruleOf(json) ?? WORDS);
