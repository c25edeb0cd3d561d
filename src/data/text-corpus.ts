import { createHash } from 'node:crypto';
import { UserError } from '../errors.ts';
import { noReport } from '../reporting.ts';
import { END_OF_TEXT } from '../tokenizer/tokenizer.ts';
import type { Corpus } from './corpus.ts';

/** A corpus from a string. @throws UserError if it is empty */
export function textCorpus(text: string): Corpus {
  if (text === '')
    throw new UserError('empty-text', 'there is no text', { hint: 'use a text with some content' });
  const wellFormed = text.toWellFormed();
  return {
    paths: [],
    files: [],
    documents: 'whole',
    leftOut: {},
    bytes: undefined,
    report: noReport,
    endOfText: END_OF_TEXT,
    *chats() {},
    *text() {
      yield wellFormed;
    },
    *documentTexts() {
      yield { text: wellFormed, file: undefined, line: undefined };
    },
    facts: {
      bytes: Buffer.byteLength(wellFormed),
      characters: Array.from(wellFormed).length,
      replaced: 0,
      sha256: createHash('sha256').update(wellFormed).digest('hex'),
      crlf: wellFormed.includes('\r\n'),
      isSorted: false, // irrelevant without a validation split
      documentCount: undefined,
      badLines: 0,
    },
  };
}
