/** What readers of documents receive and produce. */

/** Receives what a file contains. */
export interface DocumentSink {
  /** A whole document; an empty one counts as none. */
  document(text: string): void;
  /** Part of a document that may be larger than memory; `finish` ends it. */
  part(text: string): void;
  finish(): void;
  /** A line, numbered from 1, that is no document. */
  bad(line: number, why: string): void;
}

export interface FileReader {
  push(text: string): void;
  /** After the last chunk. */
  end(): void;
}
