/** Training on a token file that `gpt tokenize` has written. Its tokenizer.json is next to it. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readTokenizer } from '../checkpoint/tokenizer-files.ts';
import { UTF8 } from '../data/encodings.ts';
import { openTokenFile, type TokenFile } from '../data/token-file.ts';
import { UsageError, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import type { Report } from '../reporting.ts';
import { shellQuoted } from '../shell-quote.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { TrainModelOptions } from './settings.ts';
import { closingOnError, type TokenizedCorpus } from './tokenized-corpus.ts';

/**
 * Opens the token file of the options, which is read on demand, so it may be larger than memory.
 *
 * @param given tokenizer of a resumed run or a starting model, whose vocabulary must begin as that of the file
 * @returns tokens that must be closed
 * @throws UserError for a file that is damaged or has another vocabulary, UsageError for options that do not fit it
 */
export function readTokenFile(
  options: TrainModelOptions,
  given: Tokenizer | undefined,
  report: Report,
): TokenizedCorpus {
  checkTokenFileOptions(options, given !== undefined);
  const [path] = options.corpus;
  const file = openTokenFile(path);
  return closingOnError(file, () => tokensOf(file, path, options, { given, report }));
}

function tokensOf(
  file: TokenFile,
  path: string,
  options: TrainModelOptions,
  { given, report }: { readonly given: Tokenizer | undefined; readonly report: Report },
): TokenizedCorpus {
  const tokenizer = readTokenizerBeside(path, file);
  if (given === undefined && (options.tokenizer ?? tokenizer.kind) !== tokenizer.kind)
    throw new UsageError(
      'conflicting-options',
      `${optionName('tokenizer')} is ${options.tokenizer}, but ${path} has ${tokenizer.kind} tokens`,
      { hint: `omit ${optionName('tokenizer')}, or pass it to \`gpt tokenize\`` },
    );
  if (given !== undefined && !begins(given, tokenizer))
    throw new UserError('mismatched-files', `${path} was encoded with a vocabulary other than the model's`, {
      hint: `encode the text again: gpt tokenize corpus.txt --model ${shellQuoted(options.initFrom ?? options.resume ?? '')} -o tokens`,
    });
  return {
    corpus: {
      paths: [path],
      files: [path],
      leftOut: {},
      bytes: file.bytes,
      characters: undefined,
      sha256: verify(file, report),
      crlf: false,
      isSorted: false, // `gpt tokenize` has warned of it
      documents: 'whole',
      documentCount: undefined,
      badLines: 0,
    },
    tokenizer: given ?? tokenizer,
    ids: file,
    documentEnd: file.endId,
    unknown: 0,
    replacements: [],
    close: () => file.close(),
  };
}

/** @throws UsageError for options that `gpt tokenize` has applied */
function checkTokenFileOptions({ corpus, ...options }: TrainModelOptions, hasTokenizer: boolean): void {
  if (corpus.length > 1)
    throw new UsageError('conflicting-options', 'a token file cannot be combined with other texts', {
      hint: 'pass only the token file',
    });
  const ofVocabulary = hasTokenizer
    ? (['specialTokens', 'growVocab'] as const)
    : (['minFrequency', 'rareWords', 'vocabSize', 'specialTokens'] as const);
  for (const flag of ofVocabulary)
    if (options.resume === undefined && (options[flag] ?? false) !== false)
      throw new UsageError(
        'conflicting-options',
        `${optionName(flag)} has no effect: a token file already has a vocabulary`,
        {
          hint: 'pass it to `gpt tokenize` instead',
        },
      );
  for (const [flag, unset] of [
    ['encoding', UTF8],
    ['encodingErrors', 'strict'],
    ['documents', 'whole'],
    ['skipBadLines', false],
  ] as const)
    if (options.resume === undefined && (options[flag] ?? unset) !== unset)
      throw new UsageError('conflicting-options', `${optionName(flag)} has no effect on a token file`, {
        hint: 'pass it to `gpt tokenize`, which reads the text',
      });
}

/** @throws UserError unless the tokenizer.json next to a token file is the one that made it */
function readTokenizerBeside(path: string, { tokenizerHash, vocabSize }: TokenFile): Tokenizer {
  const tokenizerPath = join(dirname(path), 'tokenizer.json');
  const command = `\`gpt tokenize corpus.txt -o ${shellQuoted(dirname(path))}\``;
  if (!existsSync(tokenizerPath))
    throw new UserError('mismatched-files', `${path} has no tokenizer.json next to it`, {
      hint: `${command} writes both`,
    });
  const tokenizer = readTokenizer(tokenizerPath);
  const hash = createHash('sha256').update(readFileSync(tokenizerPath)).digest();
  if (!hash.equals(tokenizerHash) || tokenizer.vocabSize !== vocabSize)
    throw new UserError('mismatched-files', `${path} was not encoded with ${tokenizerPath}`, {
      hint: `recreate both with ${command}`,
    });
  return tokenizer;
}

/** Verifies the checksum of a token file. @returns its SHA-256, in hexadecimal */
function verify(file: TokenFile, report: Report): string {
  const hash = createHash('sha256');
  let verified = 0;
  file.verify((bytes) => {
    hash.update(bytes);
    verified += bytes.length;
    report('verifying the token file', verified / file.bytes);
  });
  return hash.digest('hex');
}

/** Whether one vocabulary is a prefix of the other. */
const begins = (long: Tokenizer, { kind, vocabulary }: Tokenizer): boolean =>
  long.kind === kind && vocabulary.every((token, id) => token === long.vocabulary[id]);
