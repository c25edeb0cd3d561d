/** Measures how much of a text is copied verbatim from a training text. */
import { countCharacters } from '../../data/corpus.ts';
import { encode } from '../../tokenizer/tokenizer.ts';
import { wordVocabulary } from '../../tokenizer/word.ts';
import { sourceOf, textOf, tokenTexts, type TokenizedText } from '../tokenized-text.ts';
import { longestMatches, type Matches } from './longest-matches.ts';

/** n-gram lengths whose novelty is reported. */
export const NGRAMS = { tokens: [4, 8, 16, 32, 64], words: [2, 4, 8] } as const;
export type Unit = keyof typeof NGRAMS;

/** Matches of at least this length count as copied: about a line. */
export const COPY_CHARACTERS = 50;

/** A passage that occurs verbatim in the training text. */
interface Copy {
  readonly text: string;
  readonly characters: number;
  readonly tokens: number;
  /** Start in the training text, in tokens. */
  readonly position: number;
}

export interface Copies {
  readonly texts: number;
  readonly tokens: number;
  readonly characters: number;
  /** Share of n-grams that do not occur in the training text, by length n; undefined if no text is that long. */
  readonly novel: Readonly<Record<Unit, ReadonlyMap<number, number | undefined>>>;
  /** Share of characters in matches of at least COPY_CHARACTERS. */
  readonly copiedShare: number;
  /** The longest distinct copies, in descending order. */
  readonly longest: readonly Copy[];
}

/** Number of longest copies that are kept. */
const LONGEST = 5;

/** Compares groups of texts with one training text, which is read once per unit. */
export function findCopies(groups: readonly (readonly TokenizedText[])[], training: TokenizedText): Copies[] {
  const texts = groups.flat();
  const tokenMatches = longestMatches(
    // Unknown tokens never match: they get an id that the training text does not have.
    texts.map(({ ids, tokenizer }) =>
      Int32Array.from(ids, (id) => (id === tokenizer.unkId ? tokenizer.vocabSize : id)),
    ),
    sourceOf(training),
  );
  const wordMatches = matchWords(texts.map(textOf), textOf(training));
  let start = 0;
  return groups.map((group) => {
    const range = [start, (start += group.length)] as const;
    return summarize(group, tokenMatches.slice(...range), wordMatches.slice(...range));
  });
}

/** Matches in units of the word tokenizer: words, punctuation and white space. */
function matchWords(texts: readonly string[], training: string): Matches[] {
  const builder = wordVocabulary({ minFrequency: 1, maxSize: Infinity });
  for (const text of texts) builder.push(`${text}\n`);
  // The vocabulary has only words of the texts; all others in the training text are <unk> and match nothing.
  const tokenizer = builder.end();
  const ids = encode(tokenizer, training);
  return longestMatches(
    texts.map((text) => encode(tokenizer, text)),
    { length: ids.length, slice: (from, to) => ids.subarray(from, to) },
  );
}

function summarize(
  texts: readonly TokenizedText[],
  tokenMatches: readonly Matches[],
  wordMatches: readonly Matches[],
): Copies {
  const copies: Copy[] = [];
  let characters = 0;
  let copied = 0;
  texts.forEach((text, i) => {
    const found = copiesIn(text, tokenMatches[i]);
    characters += found.characters;
    copied += found.copied;
    copies.push(...found.copies);
  });
  const unique = new Map(copies.map((copy) => [copy.text, copy]));
  return {
    texts: texts.length,
    tokens: texts.reduce((sum, { ids }) => sum + ids.length, 0),
    characters,
    novel: { tokens: novelty(tokenMatches, NGRAMS.tokens), words: novelty(wordMatches, NGRAMS.words) },
    copiedShare: characters === 0 ? 0 : copied / characters,
    longest: [...unique.values()].sort((a, b) => b.characters - a.characters).slice(0, LONGEST),
  };
}

function novelty(matches: readonly Matches[], lengths: readonly number[]): Map<number, number | undefined> {
  return new Map(
    lengths.map((n) => {
      let all = 0;
      let novel = 0;
      for (const { lengths: matched } of matches)
        for (let end = n - 1; end < matched.length; end++) {
          all++;
          if (matched[end] < n) novel++;
        }
      return [n, all === 0 ? undefined : novel / all];
    }),
  );
}

/** Maximal matches of a text, and the number of characters in long ones. */
function copiesIn(text: TokenizedText, { lengths, ends }: Matches) {
  const whole = textOf(text);
  const count = text.ids.length;
  const units = new Uint32Array(count + 1); // offset of each token in UTF-16 units, and in code points
  const points = new Uint32Array(count + 1);
  let i = 0;
  for (const part of tokenTexts(text)) {
    units[i + 1] = units[i] + part.length;
    points[i + 1] = points[i] + countCharacters(part);
    i++;
  }
  const copies: Copy[] = [];
  let copied = 0;
  let coveredTo = 0; // in tokens
  for (let end = 1; end <= count; end++) {
    const tokens = lengths[end - 1];
    if (tokens === 0 || (end < count && lengths[end] > tokens)) continue; // the match continues
    const start = end - tokens;
    const characters = points[end] - points[start];
    copies.push({
      text: whole.slice(units[start], units[end]),
      characters,
      tokens,
      position: ends[end - 1] - tokens,
    });
    if (characters < COPY_CHARACTERS) continue;
    copied += points[end] - points[Math.max(start, coveredTo)];
    coveredTo = end;
  }
  return { characters: points[count], copied, copies };
}
