/** Options of the corpus: how it is decoded, tokenized and split. */
import type { EncodingErrors } from '../../data/decode-text.ts';
import { decodingHelp, encodingErrorsName, encodingName } from '../../data/encoding-value.ts';
import { documentsValue } from '../../data/documents/format.ts';
import { UTF8 } from '../../data/encodings.ts';
import { namesTokenFile } from '../../data/token-file.ts';
import { tokenizerKinds } from '../../tokenizer/registry.ts';
import { specialTokensValue } from '../../tokenizer/special-token-list.ts';
import { rareWordChoices, type RareWords, type TokenizerKind } from '../../tokenizer/tokenizer.ts';
import { optionName } from '../../messages.ts';
import { choice, filePath, trueOrFalse, wholeNumber, type OptionType } from '../../values.ts';
import { optional, orAbsent, row, unused, type KnownOptions } from './row.ts';
import { belowOne, positive } from './values.ts';

const atLeastTwo = wholeNumber({ min: 2 });
/** Infinity stands for no limit. */
const vocabularySize: OptionType<number> = {
  ...atLeastTwo,
  is: (value) => value === Infinity || atLeastTwo.is(value),
};

/** The default size of a bpe vocabulary before it depended on the text. */
const FORMER_BPE_SIZE = 1024;

/** Whether a new vocabulary is built in which rare words are spelled. */
const spellsRareWords = ({ tokenizer, rareWords, initFrom }: KnownOptions): boolean =>
  tokenizer === 'word' && rareWords === 'spell' && initFrom === undefined;

export const dataRows = {
  tokenizer: row<TokenizerKind>({
    group: 'Data',
    value: choice(tokenizerKinds),
    placeholder: 'kind',
    help: 'char, word or bpe',
    default: 'char',
    onResume: 'fixed',
  }),
  minFrequency: row<number | undefined>({
    group: 'Data',
    value: positive,
    placeholder: 'n',
    help: 'minimum occurrences of a token; bpe: of a merge',
    default: (known) => (spellsRareWords(known) ? undefined : 1), // then chosen for the text
    defaultHelp: '1; spelled words: by the text, from 3',
    caution: (value, known) =>
      value === 1 && known.vocabSize === Infinity && spellsRareWords(known)
        ? 'is 1: no word of the text is spelled, so the model does not learn to spell new ones'
        : undefined,
    onResume: 'fixed',
    stored: orAbsent(positive),
  }),
  rareWords: row<RareWords | undefined>({
    group: 'Data',
    value: choice(rareWordChoices),
    placeholder: 'how',
    help: 'rare words: spell (in characters) or unk (as <unk>)',
    default: ({ tokenizer, initFrom }) =>
      tokenizer === 'word' && initFrom === undefined ? 'spell' : undefined,
    defaultHelp: 'spell',
    caution: unused(
      ({ tokenizer }) => tokenizer === 'word',
      ({ tokenizer }) => `with the tokenizer ${tokenizer}`,
    ),
    onResume: 'fixed',
    stored: orAbsent(choice(rareWordChoices)),
    formerly: ({ tokenizer, initFrom }) =>
      tokenizer === 'word' && initFrom === undefined ? 'unk' : undefined,
  }),
  vocabSize: row<number>({
    group: 'Data',
    value: vocabularySize,
    placeholder: 'n',
    help: 'maximum number of tokens',
    default: Infinity,
    defaultHelp: 'all; bpe: grows with the text, at most 2048',
    onResume: 'fixed',
    stored: { is: (value) => value === null || positive.is(value), expected: `${positive.expected} or null` }, // JSON has no infinity
    formerly: ({ tokenizer, initFrom, corpus }, recorded) =>
      tokenizer === 'bpe' &&
      recorded['tokenizer'] === 'bpe' &&
      recorded['bpeSizeFromText'] === undefined &&
      initFrom === undefined &&
      !namesTokenFile(corpus)
        ? FORMER_BPE_SIZE
        : undefined,
  }),
  /** Recorded with a new bpe vocabulary: without `vocabSize`, its size depends on the text. In older runs it was 1,024. */
  bpeSizeFromText: row<boolean | undefined>({
    group: 'Data',
    hasFlag: false,
    value: trueOrFalse,
    help: 'recorded: by default, the size of a bpe vocabulary depends on the text',
    default: ({ tokenizer, initFrom }) => (tokenizer === 'bpe' && initFrom === undefined ? true : undefined),
    onResume: 'free',
    stored: orAbsent(trueOrFalse),
  }),
  /**
   * Special tokens of a new vocabulary, or added to that of `initFrom`, separated by commas: each is one token wherever it is in
   * a text.
   */
  specialTokens: optional<string>({
    group: 'Data',
    value: specialTokensValue,
    placeholder: 'list',
    help: 'tokens of your own, kept whole: <|user|>,<|bot|>',
    onResume: 'fixed',
  }),
  /** The model of `initFrom` learns tokens that it lacks; see ../grow-vocabulary.ts. */
  growVocab: row<boolean>({
    group: 'Data',
    value: trueOrFalse,
    help: 'add tokens for the text or for chats that --init-from lacks',
    default: false,
    caution: unused(
      ({ initFrom }) => initFrom !== undefined,
      () => `without ${optionName('initFrom')}`,
    ),
    onResume: 'fixed',
    stored: orAbsent(trueOrFalse),
  }),
  valFraction: row<number>({
    group: 'Data',
    value: belowOne,
    placeholder: 'p',
    help: 'share of the text held out for validation, at its end',
    default: ({ valFile }) => (valFile === undefined ? 0.1 : 0),
    defaultHelp: '0.1, up to 500,000 tokens',
    onResume: 'forced',
    changes: 'text',
  }),
  valFile: optional<string>({
    group: 'Data',
    value: filePath,
    placeholder: 'file',
    help: 'validate on this text instead',
    onResume: 'free', // files may move; their contents are compared by hash
    conflicts: ['valFraction'],
  }),
  /** How the text and the validation text are divided into documents, which are shuffled and split as wholes. */
  documents: row<string>({
    group: 'Data',
    value: documentsValue,
    placeholder: 'kind',
    help: 'whole, files, lines, paragraphs, chat, jsonl[:field], csv[:column] or a separator',
    default: 'whole',
    defaultHelp: 'by the files: jsonl, chat, csv, files; whole for one text',
    onResume: 'forced',
    stored: orAbsent(documentsValue),
    changes: 'text',
  }),
  skipBadLines: row<boolean>({
    group: 'Data',
    value: trueOrFalse,
    help: 'leave out lines of jsonl, chat and csv that are not documents',
    default: false,
    onResume: 'forced',
    stored: orAbsent(trueOrFalse),
    changes: 'text',
  }),
  /** Encoding of the text and the validation text. A byte order mark takes precedence. */
  encoding: row<string>({
    group: 'Data',
    value: encodingName,
    placeholder: 'name',
    help: decodingHelp.encoding,
    default: UTF8,
    onResume: 'forced',
    stored: orAbsent({ ...encodingName, expected: 'the canonical name of an encoding that this Node knows' }),
    changes: 'text',
  }),
  /** Treatment of invalid bytes: an error, or U+FFFD. */
  encodingErrors: row<EncodingErrors>({
    group: 'Data',
    value: encodingErrorsName,
    placeholder: 'what',
    help: decodingHelp.encodingErrors,
    default: 'strict',
    onResume: 'forced',
    changes: 'text',
  }),
};
