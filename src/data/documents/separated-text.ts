/** The documents of files as one text, in which a token ends each document. */
import { chatmlRenderer, withoutMark, type ChatRenderer, type ChatText } from '../../chat/chat-renderer.ts';
import { UserError } from '../../errors.ts';
import { optionName } from '../../messages.ts';
import type { DocumentSink } from './document-sink.ts';
import type { DocumentFormat } from './format.ts';
import { documentReader } from './readers.ts';

export interface SeparatedTextOptions {
  readonly format: DocumentFormat;
  /** Text of the token that ends a document. */
  readonly endOfText: string;
  /** Leave out lines that are not documents instead of failing. */
  readonly skipBadLines: boolean;
  /** For conversations. */
  readonly renderer?: (() => ChatRenderer) | undefined;
  /** Receives each conversation. */
  readonly onChat?: ((text: ChatText) => void) | undefined;
}

/** @param message names file and line */
export function refuseBadLine(message: string): never {
  throw new UserError('damaged-file', message, {
    hint: `correct the line, or leave out such lines with ${optionName('skipBadLines')}`,
  });
}

/** Reads one file after the other, in chunks of any size. */
export class SeparatedText {
  readonly #options: SeparatedTextOptions;
  #text: string; // not returned yet
  #isOpen = false; // a document has begun
  #documents = 0;
  #badLines = 0;

  constructor(options: SeparatedTextOptions) {
    this.#options = options;
    this.#text = options.endOfText; // precedes the first document, as it does all others
  }

  /** Starts a file. @param file for messages */
  open(file: string): { push(text: string): string; end(): string } {
    const { format, renderer = () => chatmlRenderer(), onChat } = this.#options;
    const sink: DocumentSink = {
      document: (text) => {
        this.#part(text);
        this.#finish();
      },
      part: (text) => this.#part(text),
      finish: () => this.#finish(),
      chat: (text) => {
        onChat?.(text);
        this.#part(withoutMark(text));
        this.#finish();
      },
      bad: (line, why, count = 1) => this.#bad(`${file}:${line}: ${why}`, count),
    };
    const reader = documentReader(format, file, sink, renderer);
    return {
      push: (text) => {
        reader.push(text);
        return this.#take();
      },
      end: () => {
        reader.end();
        return this.#take();
      },
    };
  }

  get documents(): number {
    return this.#documents;
  }

  get badLines(): number {
    return this.#badLines;
  }

  /** Characters that were added to the text. */
  get added(): number {
    return (this.#documents + 1) * this.#options.endOfText.length;
  }

  #part(text: string): void {
    this.#text += text;
    this.#isOpen ||= text !== '';
  }

  #finish(): void {
    if (!this.#isOpen) return;
    this.#text += this.#options.endOfText;
    this.#isOpen = false;
    this.#documents++;
  }

  #bad(message: string, count: number): void {
    if (!this.#options.skipBadLines) refuseBadLine(message);
    this.#badLines += count;
  }

  #take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}
