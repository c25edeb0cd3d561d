/** Finds the text a model was trained on, so that baselines can be fitted on the same training split. */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { latestCheckpoint, stateFileOf } from '../checkpoint/checkpoint-folders.ts';
import { readTrainerState } from '../checkpoint/trainer-state.ts';
import { chatFormOf, type ChatForm } from '../chat/chat-form.ts';
import { countCharacters, openCorpus, type CorpusOptions } from '../data/corpus.ts';
import { documentsValue } from '../data/documents/format.ts';
import { describeLeftOut } from '../data/find-files.ts';
import type { DecodingOptions } from '../data/decode-text.ts';
import { canonicalEncoding, UTF8 } from '../data/encodings.ts';
import { fileChunks } from '../data/file-chunks.ts';
import { isTokenFilePath, openTokenFile } from '../data/token-file.ts';
import { splitTokens } from '../data/token-source.ts';
import { UserError } from '../errors.ts';
import { noReport, type Report } from '../reporting.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';
import { endOfTextToken, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { partOfText, readTokenizedText, sourceOf, textOf, type TokenizedText } from './tokenized-text.ts';

/** A run's text in its model's tokens. */
export interface TrainingText {
  /** Description for messages: 'data/book.txt, training split' or 'notes/ (left out: 3 binary)'. */
  readonly name: string;
  readonly train: TokenizedText;
  /** Empty if nothing was held out. */
  readonly validation: TokenizedText;
  /** Equal for two models trained on the same bytes with the same encoding and split. */
  readonly key: string;
}

/** The corpus as recorded by a run. */
export interface CorpusRecord extends CorpusOptions {
  readonly files: readonly string[];
  readonly sha256: string;
  readonly valFraction: number;
  readonly valFile: string | undefined;
  readonly valFileSha256: string | null;
  /** Tokens attended only within their document. */
  readonly documentMask: boolean;
}

/**
 * @param folder a run, or one of its checkpoints
 * @returns undefined for any other model
 */
export function corpusRecord(folder: string): CorpusRecord | undefined {
  const stateFile = stateFileOf(folder) ?? stateFileOf(latestCheckpoint(folder)?.folder ?? folder);
  if (stateFile === undefined) return undefined;
  const state = readTrainerState(stateFile);
  const { corpus, valFraction, valFile, encoding, encodingErrors, documents, skipBadLines } = state.options;
  return {
    files: (corpus as readonly string[] | undefined) ?? [],
    sha256: state.corpus_sha256,
    valFraction: (valFraction as number | undefined) ?? 0,
    valFile: valFile as string | undefined,
    valFileSha256: state.validation_sha256,
    encoding: knownEncoding(encoding ?? UTF8, stateFile),
    encodingErrors: encodingErrors === 'replace' ? 'replace' : 'strict',
    documents: knownDocuments(documents ?? 'whole', stateFile),
    skipBadLines: skipBadLines === true,
    documentMask: state.options['documentMask'] === true,
  };
}

/** The record of a run; undefined also if it is unreadable. */
export function knownRecord(folder: string): CorpusRecord | undefined {
  try {
    return corpusRecord(folder);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function knownDocuments(recorded: unknown, stateFile: string): string {
  if (documentsValue.is(recorded)) return recorded as string;
  throw new UserError('damaged-file', `${stateFile}: in "options", "documents" is ${shownJson(recorded)}`, {
    hint: 'the checkpoint is damaged or was changed by hand',
  });
}

function knownEncoding(recorded: unknown, stateFile: string): string {
  const name = canonicalEncoding(String(recorded));
  if (name === undefined)
    throw new UserError('damaged-file', `${stateFile}: in "options", "encoding" is ${shownJson(recorded)}`, {
      hint: 'this Node does not support it: the file is damaged or from a newer Node',
    });
  return name;
}

/** A text to use instead of the recorded one. */
export interface OtherText extends DecodingOptions {
  readonly path: string;
}

/** The option's name is that of its first use; `--split` and `--memorization` read the text from it as well. */
const INSTEAD = `pass a file with the same text: ${optionName('baselineText')} <file> replaces the corpus of the run`;

const changed = (file: string): UserError =>
  new UserError('text-changed', `${file} has changed since the model was trained on it`, { hint: INSTEAD });

/**
 * Reads the text a model was trained on and splits it as its run did.
 *
 * @param instead text to use if the model has no record or its corpus has moved. Unless it equals the run's corpus byte for
 * byte, all of it counts as training text. Its default encoding is that of the corpus.
 * @param report progress of reading and tokenizing
 * @throws UserError if there is no record, or the corpus is missing or has changed
 */
export function readTrainingText(
  folder: string,
  tokenizer: Tokenizer,
  instead?: OtherText,
  report?: Report,
): TrainingText {
  const record = corpusRecord(folder);
  if (instead !== undefined) return readInstead(instead, record, tokenizer, report);
  if (record === undefined)
    throw new UserError('not-recorded', `${folder} has no record of its training text: it is not a run`, {
      hint: INSTEAD,
    });
  if (record.files.includes('-'))
    throw new UserError('text-unavailable', `${folder} was trained from a pipe, which cannot be read again`, {
      hint: INSTEAD,
    });
  const files = record.valFile === undefined ? record.files : [...record.files, record.valFile];
  const missing = files.find((file) => !existsSync(file));
  if (missing !== undefined)
    throw new UserError('text-unavailable', `the training text of ${folder} is missing: ${missing}`, {
      hint: `run this in the folder it was trained from, or ${INSTEAD}`,
    });
  const name = record.files.join(', ');
  if (record.files.some(isTokenFilePath))
    return splitAsTrained(
      name,
      readTokenFile(record.files[0], record, tokenizer, report),
      record,
      tokenizer,
      report,
    );
  const corpus = openCorpus(record.files, { ...record, ...separatorsOf(tokenizer, folder) }, report);
  const text = readTokenizedText(corpus, tokenizer);
  if (corpus.facts.sha256 !== record.sha256) throw changed(name);
  return splitAsTrained(name, text, record, tokenizer, report);
}

/** @param name of the model, for messages */
const separatorsOf = (
  tokenizer: Tokenizer,
  name: string,
): { readonly endOfText: string | undefined; readonly chat: () => ChatForm } => ({
  endOfText: endOfTextToken(tokenizer),
  chat: () => chatFormOf(tokenizer, name),
});

function readInstead(
  { path, ...given }: OtherText,
  record: CorpusRecord | undefined,
  tokenizer: Tokenizer,
  report: Report | undefined,
): TrainingText {
  const encoding = given.encoding ?? record?.encoding ?? UTF8;
  const encodingErrors =
    given.encodingErrors === 'replace' ? 'replace' : (record?.encodingErrors ?? 'strict');
  const { documents, skipBadLines } = record ?? {};
  const corpus = openCorpus(
    [path],
    { encoding, encodingErrors, documents, skipBadLines, ...separatorsOf(tokenizer, path) },
    report,
  );
  const text = readTokenizedText(corpus, tokenizer);
  const { sha256 } = corpus.facts;
  const leftOut = describeLeftOut(corpus.leftOut, 'left out: ');
  const name = leftOut === '' ? path : `${path} (${leftOut})`;
  if (record !== undefined && sha256 === record.sha256 && encoding === record.encoding)
    return splitAsTrained(name, text, record, tokenizer, report);
  return {
    name,
    train: text,
    validation: partOfText(text, 0, 0),
    key: `${sha256} ${encoding}`,
  };
}

/** A token file holds only ids, so the spelling of an `<unk>` is lost. */
function readTokenFile(
  path: string,
  { sha256 }: CorpusRecord,
  tokenizer: Tokenizer,
  report: Report = noReport,
): TokenizedText {
  const hash = createHash('sha256');
  const { size } = statSync(path);
  let read = 0;
  for (const chunk of fileChunks(path)) {
    hash.update(chunk);
    read += chunk.length;
    report('verifying the token file', Math.min(1, read / size));
  }
  if (hash.digest('hex') !== sha256) throw changed(path);
  const file = openTokenFile(path);
  try {
    const ids = Uint32Array.from(file.slice(0, file.length));
    if (tokenizer.unkId !== undefined && ids.includes(tokenizer.unkId))
      throw new UserError('not-recorded', `${path} does not record the spelling of its unknown tokens`, {
        hint: INSTEAD,
      });
    return { tokenizer, ids, unknown: [], endId: file.endId };
  } finally {
    file.close();
  }
}

function splitAsTrained(
  name: string,
  text: TokenizedText,
  record: CorpusRecord,
  tokenizer: Tokenizer,
  report: Report | undefined,
): TrainingText {
  const { valFile, valFileSha256, valFraction, sha256, encoding } = record;
  if (valFile !== undefined) {
    const corpus = openCorpus([valFile], { ...record, ...separatorsOf(tokenizer, name) }, report);
    const validation = readTokenizedText(corpus, tokenizer);
    if (corpus.facts.sha256 !== valFileSha256) throw changed(valFile);
    return { name, train: text, validation, key: `${sha256} ${encoding} ${valFileSha256}` };
  }
  const { ids, endId } = text;
  const { train, validation } = splitTokens(sourceOf(text), valFraction, endId);
  const cut = train.length;
  return {
    name: cut < ids.length ? `${name}, training split` : name,
    train: partOfText(text, 0, cut),
    validation: partOfText(text, ids.length - validation.length, ids.length),
    key: `${sha256} ${encoding} ${cut}`,
  };
}

export const splits = ['train', 'val'] as const;
export type SplitName = (typeof splits)[number];

/** One split of a model's corpus. @throws UserError like readTrainingText, or if the split is empty */
export function readSplit(
  folder: string,
  tokenizer: Tokenizer,
  split: SplitName,
  instead?: OtherText,
  report?: Report,
): {
  readonly file: string;
  readonly text: TokenizedText;
  readonly characters: number;
} {
  const { train, validation } = readTrainingText(folder, tokenizer, instead, report);
  const text = split === 'train' ? train : validation;
  if (text.ids.length < 2)
    throw new UserError('not-recorded', `${folder} was trained without a validation split`, {
      hint: `pass a text instead of ${optionName('split')}`,
    });
  return {
    file: `${split === 'train' ? 'training' : 'validation'} split of ${folder}`,
    text,
    characters: countCharacters(textOf(text)),
  };
}
