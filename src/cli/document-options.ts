/** `--documents` and `--skip-bad-lines`, and their defaults for a text to evaluate. */
import { Option } from 'commander';
import { chatFormOf } from '../chat/chat-form.ts';
import type { CorpusOptions } from '../data/corpus.ts';
import { CHAT, documentsValue, impliedDocuments, isOfRecords } from '../data/documents/format.ts';
import { UsageError } from '../errors.ts';
import { knownRecord, type CorpusRecord } from '../evaluate/training-text.ts';
import { endOfTextToken, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { dataRows } from '../train/options/data.ts';
import { option } from './options.ts';
import { printable } from './terminal.ts';

export interface DocumentFlags {
  readonly documents?: string;
  readonly skipBadLines?: true;
}

export const documentsOption = (usual: string): Option =>
  option('--documents <kind>', `${dataRows.documents.help} (default: ${usual})`, documentsValue);

export const skipBadLinesOption = (): Option => new Option('--skip-bad-lines', dataRows.skipBadLines.help);

/** A model to evaluate, as far as reading its texts depends on it. */
export interface ReadingModel {
  /** As named on the command line. */
  readonly name: string;
  readonly tokenizer: Tokenizer;
  /** The corpus of its training; undefined if there is no readable record. */
  readonly record: CorpusRecord | undefined;
}

/** The record is read once, for all files. */
export const readingModel = (name: string, tokenizer: Tokenizer): ReadingModel => ({
  name,
  tokenizer,
  record: knownRecord(name),
});

/**
 * How a file is divided into documents: as asked, as its extension says, or as the text that the model was trained on.
 *
 * @throws UsageError if the tokenizer cannot separate documents
 */
export function documentsFor(
  file: string,
  { name, tokenizer, record }: ReadingModel,
  { documents: asked, skipBadLines }: DocumentFlags,
): CorpusOptions {
  const endOfText = endOfTextToken(tokenizer);
  const implied = impliedDocuments([file]);
  if ((asked ?? implied) === CHAT)
    return { documents: CHAT, skipBadLines, chat: () => chatFormOf(tokenizer, printable(name)) };
  if (endOfText === undefined) {
    if (asked === undefined || asked === 'whole') return {};
    throw new UsageError('unsuitable-tokenizer', `${printable(name)} has no token that ends a document`, {
      hint: 'evaluate the text as a whole: --documents whole',
    });
  }
  const trained = record?.documents;
  const fitsText = implied === 'whole' && (trained === undefined || !isOfRecords(trained));
  const usual = fitsText ? trained : implied;
  const documents = asked ?? usual;
  return { documents, endOfText, skipBadLines };
}
