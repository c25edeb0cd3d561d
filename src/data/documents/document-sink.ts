/** Interfaces of document readers: chunks of a file in, documents out. */
import { UserError } from '../../errors.ts';
import { formatNumber } from '../../format.ts';
import { optionName } from '../../messages.ts';
import type { ChatText } from '../../chat/chat-renderer.ts';

/** Receives what a file contains. */
export interface DocumentSink {
  /** A whole document; an empty one counts as none. @param line number of its first line, from 1 */
  document(text: string, line: number): void;
  /** Part of a document that may be larger than memory; `finish` ends it. */
  part(text: string): void;
  finish(): void;
  /** A conversation, which is a document. */
  chat(text: ChatText): void;
  /** Reports lines that are not a document: the number of the first, from 1, and their count. */
  bad(line: number, why: string, count?: number): void;
}

export interface FileReader {
  push(text: string): void;
  /** After the last chunk. */
  end(): void;
}

/** In UTF-16 units. A JavaScript string has at most 2²⁹ − 24, and a document is joined with others. */
const LONGEST = 2 ** 28;

/** @throws UserError if a document, or the line that holds it, has more units than a string can have */
export function checkLength(units: number, where: string): void {
  if (units <= LONGEST) return;
  throw new UserError(
    'file-too-large',
    `${where}: a document has more than ${formatNumber(LONGEST)} characters`,
    {
      hint: `check that ${optionName('documents')} fits the file and, in CSV, that every quote is closed`,
    },
  );
}
