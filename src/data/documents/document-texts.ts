/** Reads the documents of a file one by one. */
import { checkLength, type DocumentSink } from './document-sink.ts';
import type { DocumentFormat } from './format.ts';
import { documentReader } from './readers.ts';
import { refuseBadLine } from './separated-text.ts';

/** A document and where it is from. */
export interface DocumentText {
  readonly text: string;
  /** Undefined for a text of several files. */
  readonly file: string | undefined;
  /** Number of its first line, from 1; undefined for whole files. */
  readonly line: number | undefined;
}

interface Options {
  readonly format: DocumentFormat;
  /** Leave out lines that are not documents instead of failing. */
  readonly skipBadLines: boolean;
}

/** Divides the text of a file, in chunks of any size. */
export function* documentTexts(
  chunks: Iterable<string>,
  file: string,
  { format, skipBadLines }: Options,
): Generator<DocumentText> {
  let found: DocumentText[] = []; // not yielded yet
  const parts: string[] = []; // of the current document
  let units = 0;
  const add = (text: string, line?: number): void => {
    if (text !== '') found.push({ text, file, line });
  };
  const sink: DocumentSink = {
    document: add,
    part(text) {
      parts.push(text);
      checkLength((units += text.length), file);
    },
    finish() {
      add(parts.splice(0).join(''));
      units = 0;
    },
    chat: refuseChat,
    bad: (line, why) => skipBadLines || refuseBadLine(`${file}:${line}: ${why}`),
  };
  const reader = documentReader(format, file, sink, refuseChat);
  for (const chunk of chunks) {
    reader.push(chunk);
    yield* found;
    found = [];
  }
  reader.end();
  yield* found;
}

function refuseChat(): never {
  throw new Error('conversations have loss masks: read them with Corpus.chats');
}
