/** The tokens that a run trains on: from text files, or from a token file that `gpt tokenize` has written. */
import { chatFormOf, chatmlForm, withForm } from '../chat/chat-form.ts';
import {
  checkSkipping,
  endIdOf,
  IMPLIED,
  openCorpus,
  type Corpus,
  type CorpusOptions,
} from '../data/corpus.ts';
import { CHAT } from '../data/documents/format.ts';
import { shuffledIds } from '../data/documents/order.ts';
import { decodingOf } from '../data/decode-text.ts';
import { replacementsIn, type Replacements } from '../data/replacements.ts';
import { isTokenFilePath } from '../data/token-file.ts';
import { inMemory, splitTokens, type TokenSource } from '../data/token-source.ts';
import { newTokenizer, tokenizeCorpus } from '../data/tokenize.ts';
import { UsageError, UserError } from '../errors.ts';
import { optionName, optionValues } from '../messages.ts';
import { noReport, type Report } from '../reporting.ts';
import { tokenizers } from '../tokenizer/registry.ts';
import { specialTokenList } from '../tokenizer/special-token-list.ts';
import {
  endOfTextId,
  endOfTextToken,
  type Tokenizer,
  type TokenizerKind,
  type VocabularyBuilder,
} from '../tokenizer/tokenizer.ts';
import { forChats, grownForText, growthOf, withOwnTokens, type Growth } from './grow-vocabulary.ts';
import type { TrainModelOptions } from './settings.ts';
import { readTokenFile } from './token-file-corpus.ts';
import { closingOnError, type CorpusDescription, type TokenizedCorpus } from './tokenized-corpus.ts';

export interface TrainingData {
  readonly corpus: CorpusDescription;
  readonly tokenizer: Tokenizer;
  /** The tokens that the tokenizer of the starting model did not have. */
  readonly growth?: Growth | undefined;
  /** The token that ends documents, if the vocabulary has one. */
  readonly endId: number | undefined;
  /** The same, only of a text that is divided into documents. */
  readonly documentEnd?: number | undefined;
  readonly train: TokenSource;
  /** Empty without a validation split. */
  readonly validation: TokenSource;
  /** Fraction of the text that is the validation split; 0 with a validation file. */
  readonly valFraction: number;
  /** The text of the validation file. */
  readonly validationCorpus: CorpusDescription | undefined;
  /** SHA-256 of the text of the validation file. */
  readonly validationSha256: string | undefined;
  /** Number of `<unk>` tokens. */
  readonly unknown: number;
  /** Those of the validation file. */
  readonly unknownInValidation?: number | undefined;
  /** For the corpus and the validation file; none for a token file. */
  readonly replacements: readonly Replacements[];
  /** Closes a token file. */
  close(): void;
}

/** Numbers of tokens, of `<unk>` in both splits and in the validation file. */
export type TokenCounts = Pick<TrainingData, 'unknown' | 'unknownInValidation'> & {
  readonly train: number;
  readonly validation: number;
};

export const countTokens = ({
  train,
  validation,
  unknown,
  unknownInValidation,
}: Pick<TrainingData, 'train' | 'validation' | 'unknown' | 'unknownInValidation'>): TokenCounts => ({
  train: train.length,
  validation: validation.length,
  unknown,
  unknownInValidation,
});

/**
 * Text → vocabulary → ids → splits. The vocabulary is built from the training files only.
 *
 * @param tokenizer of a resumed run or a starting model, instead of a new vocabulary
 * @param report receives the progress of reading and tokenizing
 * @returns data that must be closed
 * @throws UserError for files that cannot be read, UsageError for options that do not fit the text
 */
export function readTrainingData(
  options: TrainModelOptions,
  tokenizer?: Tokenizer,
  report: Report = noReport,
): TrainingData {
  const source = options.corpus.some(isTokenFilePath)
    ? readTokenFile(options, tokenizer, report)
    : tokenizeText(options, tokenizer, report);
  return closingOnError(source, () => split(source, options, report));
}

function split(
  { ids, documentEnd, ...read }: TokenizedCorpus,
  options: TrainModelOptions,
  report: Report,
): TrainingData {
  const found = { ...read, documentEnd, endId: documentEnd ?? endOfTextId(read.tokenizer) };
  if (options.valFile === undefined) {
    const valFraction = options.valFraction ?? defaultFraction(ids.length);
    return {
      ...found,
      ...splitTokens(ids, valFraction, documentEnd),
      valFraction,
      validationCorpus: undefined,
      validationSha256: undefined,
    };
  }
  const corpus = openCorpus(
    [options.valFile],
    { ...corpusOptions(options, found.tokenizer), documents: found.corpus.documents },
    report,
  );
  const validation = tokenizeCorpus(corpus, found.tokenizer, options.threads);
  return {
    ...found,
    unknown: found.unknown + validation.unknown,
    unknownInValidation: validation.unknown,
    replacements: [...found.replacements, replacementsIn(corpus)],
    train: ids,
    validation: inMemory(validation.ids, validation.counted),
    valFraction: 0,
    validationCorpus: description(corpus),
    validationSha256: corpus.facts.sha256,
  };
}

/** More tokens would lengthen the final evaluation with hardly any gain in accuracy. */
const MAX_VALIDATION_TOKENS = 500_000;
const defaultFraction = (tokens: number): number => Math.min(0.1, MAX_VALIDATION_TOKENS / tokens);

interface TextWithTokenizer {
  readonly corpus: Corpus;
  readonly tokenizer: Tokenizer;
}

function withNewTokenizer(options: TrainModelOptions, report: Report): TextWithTokenizer {
  const corpus = openText(options, undefined, report);
  const own = specialTokenList(options.specialTokens);
  return { corpus, tokenizer: newTokenizer(corpus, (special) => vocabularyFor(options, special), own) };
}

/** A starting model's vocabulary may grow; that of a resumed run has. */
function withGivenTokenizer(options: TrainModelOptions, given: Tokenizer, report: Report): TextWithTokenizer {
  const isNew = options.resume === undefined;
  const known = isNew ? withOwnTokens(given, options) : given;
  const corpus = openText(options, known, report);
  const tokenizer = isNew ? grownForText(known, corpus, options) : known;
  return {
    corpus,
    tokenizer:
      corpus.documents === CHAT ? withForm(tokenizer, chatFormOf(tokenizer, nameOf(options))) : tokenizer,
  };
}

function tokenizeText(
  options: TrainModelOptions,
  given: Tokenizer | undefined,
  report: Report,
): TokenizedCorpus {
  const { corpus, tokenizer } =
    given === undefined ? withNewTokenizer(options, report) : withGivenTokenizer(options, given, report);
  const { ids: read, counted, unknown } = tokenizeCorpus(corpus, tokenizer, options.threads);
  const documents =
    corpus.documents === 'whole'
      ? undefined
      : shuffledIds({ ids: read, counted, endId: endIdOf(corpus, tokenizer) });
  const ids = documents?.ids ?? read;
  if (given === undefined) checkTokenLength(corpus.facts.characters, ids.length, tokenizer.kind);
  return {
    corpus: description(corpus),
    tokenizer,
    growth: given === undefined ? undefined : growthOf(given, tokenizer, options),
    ids: inMemory(ids, documents?.counted),
    documentEnd: documents?.endId,
    unknown,
    replacements: [replacementsIn(corpus)],
    close: () => {},
  };
}

function vocabularyFor(options: TrainModelOptions, specialTokens: readonly string[]): VocabularyBuilder {
  const { tokenizer = 'char', rareWords = 'spell' } = options;
  const { minFrequency, vocabSize: maxSize } = options;
  return tokenizers[tokenizer].vocabulary({ minFrequency, rareWords, maxSize, specialTokens });
}

/** Of the model whose tokenizer is given, for messages. */
const nameOf = ({ initFrom, resume }: TrainModelOptions): string => initFrom ?? resume ?? 'the model';

/** How the text of these options is read. @param tokenizer undefined before it has been built */
const corpusOptions = (options: TrainModelOptions, tokenizer: Tokenizer | undefined): CorpusOptions => ({
  ...decodingOf(options),
  documents: options.documents ?? IMPLIED,
  skipBadLines: options.skipBadLines,
  ...(tokenizer === undefined
    ? { chat: () => chatmlForm(specialTokenList(options.specialTokens)) }
    : {
        endOfText: endOfTextToken(tokenizer),
        chat: () => chatFormOf(forChats(tokenizer, options), nameOf(options)),
      }),
});

/** @throws UsageError for documents that the given tokenizer cannot separate */
function openText(options: TrainModelOptions, given: Tokenizer | undefined, report: Report): Corpus {
  const corpus = openCorpus(options.corpus, corpusOptions(options, given), report);
  if (options.resume === undefined) checkSkipping(corpus, options);
  if (
    ['whole', CHAT].includes(corpus.documents) ||
    given === undefined ||
    options.growVocab === true ||
    endOfTextToken(given) !== undefined
  )
    return corpus;
  if (options.documents === undefined && corpus.documents === 'files')
    return openCorpus(options.corpus, { ...corpusOptions(options, given), documents: 'whole' }, report);
  throw new UsageError(
    'unsuitable-tokenizer',
    `documents (${corpus.documents}) need a token that ends a text, which the model's tokenizer lacks`,
    {
      hint: `read the text as a whole with ${optionValues({ documents: 'whole' })}, or add the token with ${optionName('growVocab')}`,
    },
  );
}

/** With fewer tokens and more characters per token than this, the tokenizer does not suit the text. */
const [FEW_TOKENS, LONG_TOKENS] = [100, 100];

/** @throws UserError if a long text has hardly any tokens, although the vocabulary was built from it */
function checkTokenLength(characters: number, tokens: number, kind: TokenizerKind): void {
  if (tokens >= FEW_TOKENS || characters < LONG_TOKENS * tokens) return;
  throw new UserError(
    'unsuitable-tokenizer',
    `${characters} characters make ${tokens} ${tokens === 1 ? 'token' : 'tokens'} with ${optionName('tokenizer')} ${kind}`,
    {
      hint:
        kind === 'word'
          ? `the text has no spaces between words: use ${optionName('tokenizer')} char or bpe`
          : `the text is too repetitive: use ${optionName('tokenizer')} char, or more varied text`,
    },
  );
}

/** The facts about a corpus that are kept after it has been read. */
const description = ({ facts, paths, files, documents, leftOut }: Corpus): CorpusDescription => ({
  ...facts,
  paths,
  files,
  documents,
  leftOut,
});
