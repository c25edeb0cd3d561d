/** Finds the documents that a model has copied from its training text. */
import { openCorpus } from '../data/corpus.ts';
import { CHAT } from '../data/documents/format.ts';
import { isTokenFilePath } from '../data/token-file.ts';
import { END_OF_TEXT } from '../tokenizer/tokenizer.ts';
import { knownRecord } from './training-text.ts';

/** Larger texts take too long to read for a mere notice. */
const MAX_BYTES = 100e6;

/**
 * The documents that occur in a run's text.
 *
 * @param folder of the model
 * @returns undefined unless the model was trained on documents that can be read again
 */
export function knownDocuments(folder: string, documents: readonly string[]): Set<string> | undefined {
  const record = knownRecord(folder);
  const cannot = (file: string): boolean => file === '-' || isTokenFilePath(file);
  if (
    record === undefined ||
    ['whole', CHAT].includes(record.documents ?? 'whole') ||
    record.files.some(cannot)
  )
    return undefined;
  const wanted = new Set(documents);
  const known = new Set<string>();
  let rest = '';
  try {
    const corpus = openCorpus(record.files, { ...record, endOfText: END_OF_TEXT });
    if (corpus.bytes === undefined || corpus.bytes > MAX_BYTES) return undefined;
    for (const piece of corpus.text()) {
      const parts = (rest + piece).split(END_OF_TEXT);
      rest = parts.pop()!;
      for (const part of parts) if (wanted.has(part)) known.add(part);
    }
    return corpus.facts.sha256 === record.sha256 ? known : undefined;
  } catch {
    return undefined; // the text has moved or changed
  }
}
