/** Files, folders and stdin as a single text, streamed in chunks, so it may be larger than memory. */
import { createHash } from 'node:crypto';
import { existsSync, statSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { chatmlForm, type ChatForm } from '../chat/chat-form.ts';
import type { ChatText } from '../chat/chat-renderer.ts';
import { UserError, UsageError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { formatMemory } from '../format-memory.ts';
import { machineMemory } from '../machine-memory.ts';
import { noReport, type Report } from '../reporting.ts';
import { END_OF_TEXT, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { decodeText, startDecoding, type DecodingOptions } from './decode-text.ts';
import { isMultibyte } from './encodings.ts';
import { checkLength } from './documents/document-sink.ts';
import { documentTexts, type DocumentText } from './documents/document-texts.ts';
import { CHAT, documentFormat, impliedDocuments, isOfRecords } from './documents/format.ts';
import { SeparatedText, type SeparatedTextOptions } from './documents/separated-text.ts';
import { fileChunks, stdinChunks } from './file-chunks.ts';
import { describeLeftOut, findTextFiles, type LeftOut, type LeftOutReason } from './find-files.ts';
import { sortedLines } from './sorted-lines.ts';

/** Minimum length of a chunk in UTF-16 units, so that overhead per chunk does not matter. */
const PIECE = 1 << 16;

export interface CorpusFacts {
  readonly bytes: number;
  /** In Unicode code points. */
  readonly characters: number;
  /** Characters that are U+FFFD in place of invalid bytes. */
  readonly replaced: number;
  /** SHA-256 of all bytes, in hexadecimal; a run resumes only on the same text. */
  readonly sha256: string;
  /** Some lines end in \r\n; line endings are kept. */
  readonly crlf: boolean;
  /** The lines are sorted, so the end of the text differs from the rest. False for documents, which are shuffled. */
  readonly isSorted: boolean;
  /** Number of documents; undefined for a text that is not divided. */
  readonly documentCount: number | undefined;
  /** Lines left out because they are not documents. */
  readonly badLines: number;
}

export interface CorpusOptions extends DecodingOptions {
  /** A value of `--documents` (documents/format.ts); default: one undivided text. `IMPLIED`: by the files' extensions. */
  readonly documents?: string | undefined;
  /** Text of the token that ends a document; default `<|endoftext|>`. */
  readonly endOfText?: string | undefined;
  /** Leave out lines that are not documents instead of failing; default false. */
  readonly skipBadLines?: boolean | undefined;
  /** How conversations become text; default ChatML, with documents that end with `<|endoftext|>`. */
  readonly chat?: (() => ChatForm) | undefined;
}

/** Value of `CorpusOptions.documents`. */
export const IMPLIED = 'implied';

/** @throws UsageError for `skipBadLines` with a format that has no records, so that no line can be bad */
export function checkSkipping({ documents }: Corpus, { skipBadLines }: CorpusOptions): void {
  if (skipBadLines !== true || isOfRecords(documents)) return;
  throw new UsageError(
    'conflicting-options',
    `${optionName('skipBadLines')} has no effect: the text is read as ${documents}`,
    {
      hint: `omit it, or read JSON lines or CSV with ${optionName('documents')} jsonl or csv`,
    },
  );
}

/** A text that can be read from start to end any number of times. */
export interface Corpus {
  /** The paths given: files, folders, or `-` for stdin. */
  readonly paths: readonly string[];
  /** All files, in order. In a text that is not divided, a line break separates them, added where one is missing. */
  readonly files: readonly string[];
  /** How the text is divided into documents: a value of `--documents`. */
  readonly documents: string;
  /** Files and folders that were skipped. */
  readonly leftOut: LeftOut;
  /** Size of the files; undefined if one of them is a stream. */
  readonly bytes: number | undefined;
  /**
   * Streams the text in chunks. @throws UserError for bytes that are not text
   *
   * @param activity shown as progress
   */
  text(activity?: string): Generator<string>;
  /** Streams conversations; their text is that of `text`. */
  chats(activity?: string): Generator<ChatText>;
  /** Text of the token that ends each document. */
  readonly endOfText: string;
  /** Streams the documents of a corpus without conversations; an undivided text is a single document. */
  documentTexts(): Generator<DocumentText>;
  /** Available once the text has been read to its end. */
  readonly facts: CorpusFacts;
  /** Receives progress while the text is read. */
  readonly report: Report;
}

/**
 * @param paths files, folders (searched recursively, in natural order) and `-` for stdin. Streams such as stdin and pipes
 * are kept in memory for the next pass.
 * @throws UserError for a missing path, a folder without text, or an empty text
 */
export function openCorpus(
  paths: readonly string[],
  options: CorpusOptions,
  report: Report = noReport,
): Corpus {
  if (paths.length === 0)
    throw new UsageError('missing-argument', 'no text was given', {
      hint: 'pass a file, a folder, or - for stdin',
    });
  const { files, leftOut, bytes: total } = expand(paths, options, report);
  const names = files.map(({ path }) => path);
  const { documents: asked = 'whole' } = options;
  const documents = asked === IMPLIED ? impliedDocuments(names) : asked;
  const form = documents === CHAT ? (options.chat ?? chatmlForm)() : undefined;
  const endOfText = form?.separator ?? options.endOfText ?? END_OF_TEXT;
  const kept = new Map<string, readonly Uint8Array[]>();
  let facts: CorpusFacts | undefined;
  function* read(activity: string, onChat?: (text: ChatText) => void): Generator<string> {
    const expected = facts?.bytes ?? total;
    const reading: Reading = { ...options, documents, endOfText, renderer: () => form!.renderer, onChat };
    const gathered = yield* streamText(files, kept, reading, (bytes) =>
      report(activity, expected && bytes / expected),
    );
    if (gathered.characters === 0)
      throw new UserError(
        'empty-text',
        `${paths.map(name).join(', ')}: it contains no ${documents === 'whole' ? 'text' : 'documents'}`,
        { hint: 'use a text with some content' },
      );
    facts = gathered;
  }
  return {
    paths,
    files: names,
    documents,
    leftOut,
    bytes: total,
    report,
    endOfText,
    text: (activity = 'reading the text') => read(activity),
    *chats(activity = 'reading the conversations') {
      let found: ChatText[] = [];
      for (const _ of read(activity, (text) => found.push(text))) {
        yield* found;
        found = [];
      }
    },
    *documentTexts() {
      if (documents === 'whole') yield wholeText(read('reading the text'), names);
      else yield* streamDocuments(files, kept, { ...options, documents });
    },
    get facts() {
      if (facts === undefined) throw new Error('the corpus has not been read to its end');
      return facts;
    },
  };
}

interface Reading extends CorpusOptions, Pick<SeparatedTextOptions, 'endOfText' | 'renderer' | 'onChat'> {
  readonly documents: string;
  readonly endOfText: string;
}

/**
 * Streams the text of all files, and returns its facts.
 *
 * @param kept chunks of streams that have been read before
 * @param progress receives the number of bytes so far
 */
function* streamText(
  files: readonly TextFile[],
  kept: Map<string, readonly Uint8Array[]>,
  options: Reading,
  progress: (bytes: number) => void,
): Generator<string, CorpusFacts> {
  const gathering = new FactGathering(options);
  const joining = options.documents === 'whole' ? adjoin(gathering, progress) : separate(options);
  let replaced = 0;
  let piece = '';
  for (const each of files) {
    const file = joining.open(name(each.path));
    const counted = function* (): Generator<Uint8Array> {
      for (const chunk of bytesOf(each, kept)) {
        progress(gathering.addBytes(chunk));
        yield chunk;
      }
    };
    const decoding = startDecoding(name(each.path), options);
    for (const text of decodeText(counted(), decoding)) {
      piece += file.push(text);
      if (piece.length < PIECE) continue;
      yield gathering.addText(piece);
      piece = '';
    }
    piece += file.end();
    replaced += decoding.replaced;
  }
  if (piece !== '') yield gathering.addText(piece);
  return gathering.facts({ replaced, ...joining.facts() });
}

/** Id of the token that ends each document. */
export const endIdOf = ({ endOfText }: Corpus, { vocabulary }: Tokenizer): number =>
  vocabulary.lastIndexOf(endOfText);

/** A text that is not divided. */
function wholeText(pieces: Iterable<string>, files: readonly string[]): DocumentText {
  let text = '';
  for (const piece of pieces) checkLength((text += piece).length, files.map(name).join(', '));
  return { text, file: files.length === 1 ? name(files[0]) : undefined, line: undefined };
}

/** The documents of all files, one after the other. */
function* streamDocuments(
  files: readonly TextFile[],
  kept: Map<string, readonly Uint8Array[]>,
  { documents, skipBadLines = false, ...options }: CorpusOptions & { readonly documents: string },
): Generator<DocumentText> {
  const format = documentFormat(documents);
  for (const file of files) {
    const decoded = decodeText(bytesOf(file, kept), startDecoding(name(file.path), options));
    yield* documentTexts(decoded, name(file.path), { format, skipBadLines });
  }
}

/** Joins the texts of files. */
interface Joining {
  open(file: string): { push(text: string): string; end(): string };
  facts(): Pick<CorpusFacts, 'documentCount' | 'badLines'> & {
    /** Characters added that are not in the files. */
    readonly added: number;
  };
}

/** Separates files by a line break, added where one is missing. */
function adjoin(gathering: FactGathering, progress: (bytes: number) => void): Joining {
  let last = ''; // end of the text so far
  return {
    open() {
      let text = '';
      if (last !== '' && !last.endsWith('\n') && !last.endsWith('\r')) {
        progress(gathering.addBytes(LINE_BREAK));
        last = text = '\n';
      }
      const take = (): string => {
        const taken = text;
        text = '';
        return taken;
      };
      return {
        push(chunk) {
          if (chunk !== '') last = chunk;
          return take() + chunk;
        },
        end: take,
      };
    },
    facts: () => ({ documentCount: undefined, badLines: 0, added: 0 }),
  };
}

/** Ends each document with the end-of-text token. */
function separate({ documents, skipBadLines = false, ...reading }: Reading): Joining {
  const text = new SeparatedText({ format: documentFormat(documents), skipBadLines, ...reading });
  return {
    open: (file) => text.open(file),
    facts: () => ({ documentCount: text.documents, badLines: text.badLines, added: text.added }),
  };
}

const LINE_BREAK = Buffer.from('\n');

const name = (file: string): string => (file === '-' ? 'stdin' : file);

interface TextFile {
  readonly path: string;
  /** A path that can be read only once: stdin, a pipe, a terminal or a device. */
  readonly isStream: boolean;
}

/**
 * Lists the files of a corpus. A named file is always included; files found in a folder only if they are text and have not
 * been found before.
 */
function expand(
  paths: readonly string[],
  options: DecodingOptions,
  report: Report,
): {
  files: TextFile[];
  leftOut: LeftOut;
  /** Undefined if one of them is a stream. */
  bytes: number | undefined;
} {
  const stats = paths.map((path) => (path === '-' ? undefined : statSync(path, { bigint: true })));
  const identity = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;
  const seen = new Set(stats.filter((stat) => stat?.isFile() === true).map((stat) => identity(stat!)));
  const isNew = (stat: BigIntStats): boolean => seen.size < seen.add(identity(stat)).size;
  const leftOut: Partial<Record<LeftOutReason, number>> = {};
  let bytes = 0;
  const files = paths.flatMap((path, i) => {
    const stat = stats[i];
    if (stat?.isDirectory() !== true) {
      const isStream = stat?.isFile() !== true;
      bytes += isStream ? NaN : Number(stat.size);
      return [{ path, isStream }];
    }
    const found = findTextFiles(path, options, isNew, report);
    bytes += found.bytes;
    if (found.files.length === 0 && found.leftOut.duplicates === undefined)
      throw new UserError(
        'empty-text',
        `the folder ${path} has no text files${describeLeftOut(found.leftOut, '; left out: ')}`,
        {
          hint: existsSync(join(path, 'tokens.bin'))
            ? `to train on its tokens, pass ${join(path, 'tokens.bin')}`
            : 'to read a file regardless of its type, pass the file itself',
        },
      );
    for (const [reason, count] of Object.entries(found.leftOut) as [LeftOutReason, number][])
      leftOut[reason] = (leftOut[reason] ?? 0) + count;
    return found.files.map((file) => ({ path: file, isStream: false }));
  });
  return { files, leftOut, bytes: Number.isNaN(bytes) ? undefined : bytes };
}

/** Share of RAM that text from streams may take; tokens and the model need the rest. */
const SHARE_FOR_STREAMS = 0.25;

const bytesOf = (
  { path, isStream }: TextFile,
  kept: Map<string, readonly Uint8Array[]>,
): Generator<Uint8Array> => (isStream ? streamChunks(path, kept) : fileChunks(path));

/** The bytes of a stream, or its copy in memory if it has been read. */
function* streamChunks(path: string, kept: Map<string, readonly Uint8Array[]>): Generator<Uint8Array> {
  const known = kept.get(path);
  if (known !== undefined) {
    yield* known;
    return;
  }
  const limit = SHARE_FOR_STREAMS * machineMemory();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of path === '-' ? stdinChunks() : fileChunks(path)) {
    bytes += chunk.length;
    if (bytes > limit)
      throw new UserError(
        'file-too-large',
        `${name(path)} has more than ${formatMemory(limit)}, a quarter of the available memory`,
        {
          hint: 'text from a pipe is kept in memory: write it to a file instead',
        },
      );
    chunks.push(chunk);
    yield chunk;
  }
  kept.set(path, chunks);
}

/** Gathers facts while a text is read: receives its bytes in order, and each piece of text after its bytes. */
class FactGathering {
  readonly #hash = createHash('sha256');
  readonly #lines = sortedLines();
  #bytes = 0;
  #characters = 0;
  #crlf = false;
  #mayHavePairs: boolean;

  constructor({ encoding, documents }: DecodingOptions & { readonly documents: string }) {
    const hasEscapes = ['jsonl', CHAT].includes(documentFormat(documents).kind); // "\ud83d\ude00" in ASCII
    this.#mayHavePairs = hasEscapes || (encoding !== undefined && isMultibyte(encoding));
  }

  /** @returns the number of bytes so far */
  addBytes(chunk: Uint8Array): number {
    this.#hash.update(chunk);
    this.#mayHavePairs ||= mayHavePairs(chunk);
    return (this.#bytes += chunk.length);
  }

  /** @returns the text */
  addText(text: string): string {
    this.#characters += this.#mayHavePairs ? countCharacters(text) : text.length;
    this.#crlf ||= text.includes('\r\n');
    this.#lines.push(text);
    return text;
  }

  /** After the last byte. */
  facts({ added, ...others }: Pick<CorpusFacts, 'replaced'> & ReturnType<Joining['facts']>): CorpusFacts {
    return {
      bytes: this.#bytes,
      characters: this.#characters - added,
      sha256: this.#hash.digest('hex'),
      crlf: this.#crlf,
      isSorted: others.documentCount === undefined && this.#lines.isSorted(),
      ...others,
    };
  }
}

/** Bytes of which each surrogate pair contains at least one: F0 … F4 in UTF-8, D8 … DB in UTF-16. */
const PAIR_BYTES = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xd8, 0xd9, 0xda, 0xdb];

/** A quick test (nine byte searches at memory speed) that spares most texts the count of surrogate pairs. */
const mayHavePairs = (bytes: Uint8Array): boolean => PAIR_BYTES.some((byte) => bytes.includes(byte));

/** In Unicode code points. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}
