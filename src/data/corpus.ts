/** Text files, folders of them and stdin, as one text that is read in pieces: it may be larger than memory. */
import { createHash } from 'node:crypto';
import { statSync, type BigIntStats } from 'node:fs';
import { UserError, UsageError } from '../errors.ts';
import { formatMemory, machineMemory } from '../machine-memory.ts';
import { noReport, type Report } from '../reporting.ts';
import { decodeText, startDecoding, type DecodingOptions } from './decode-text.ts';
import { isMultibyte } from './encodings.ts';
import { chunksOf, fileChunks } from './file-chunks.ts';
import { describeLeftOut, findTextFiles, type LeftOut, type LeftOutReason } from './find-files.ts';
import { sortedLines } from './sorted-lines.ts';

/** UTF-16 units in a piece of text, at least: what follows takes as long for a small piece as for a large one. */
const PIECE = 1 << 16;

export interface CorpusFacts {
  readonly bytes: number;
  /** In Unicode code points. */
  readonly characters: number;
  /** How many of the characters are U+FFFD in place of bytes that are not text. */
  readonly replaced: number;
  /** SHA-256 over all bytes, in hexadecimal: resuming refuses another corpus. */
  readonly sha256: string;
  /** Whether some lines end in \r\n. They are kept as they are. */
  readonly crlf: boolean;
  /** Whether its lines are in sorted order, so that its end is unlike the rest. */
  readonly isSorted: boolean;
}

/** A text that can be read from start to end, any number of times. */
export interface Corpus {
  /** What was named: files, folders, or `-` for stdin. */
  readonly paths: readonly string[];
  /** The files, in order. Where one does not end with a line break, a line break follows it. */
  readonly files: readonly string[];
  /** What is not read of the folders. */
  readonly leftOut: LeftOut;
  /**
   * The text in pieces. Throws UserError for what is not text.
   *
   * @param activity what it is read for, to be reported
   */
  text(activity?: string): Generator<string>;
  /** Known once the text has been read to its end. */
  readonly facts: CorpusFacts;
  /** Told how far those who work on the text have come. */
  readonly report: Report;
}

/**
 * @param paths files, folders (their text files, recursively, in natural order) and `-` for stdin. What can be read only
 *   once, such as stdin and pipes, is kept.
 * @throws UserError for a path that is not there, a folder without text, or no text at all
 */
export function openCorpus(
  paths: readonly string[],
  options: DecodingOptions,
  report: Report = noReport,
): Corpus {
  if (paths.length === 0)
    throw new UsageError('missing-argument', 'no text was given', {
      hint: 'name a file, a folder, or - for stdin',
    });
  const { files, leftOut, bytes: total } = expand(paths, options, report);
  const kept = new Map<string, readonly Uint8Array[]>();
  let facts: CorpusFacts | undefined;
  return {
    paths,
    files: files.map(({ path }) => path),
    leftOut,
    report,
    *text(activity = 'reading the text') {
      const expected = facts?.bytes ?? total;
      const hash = createHash('sha256');
      const lines = sortedLines();
      let bytes = 0;
      let characters = 0;
      let crlf = false;
      let replaced = 0;
      let pairs = options.encoding !== undefined && isMultibyte(options.encoding);
      let piece = '';
      let last = ''; // the last piece of the files so far
      const count = (chunk: Uint8Array): void => {
        hash.update(chunk);
        bytes += chunk.length;
        pairs ||= mayHavePairs(chunk);
        report(activity, expected && bytes / expected);
      };
      const inspected = (text: string): string => {
        characters += pairs ? countCharacters(text) : text.length;
        crlf ||= text.includes('\r\n');
        lines.push(text);
        return text;
      };
      for (const { path, isStream } of files) {
        if (last !== '' && !last.endsWith('\n') && !last.endsWith('\r')) {
          count(LINE_BREAK);
          piece += '\n';
          last = '\n';
        }
        const counted = function* (): Generator<Uint8Array> {
          for (const chunk of isStream ? streamChunks(path, kept) : fileChunks(path)) {
            count(chunk);
            yield chunk;
          }
        };
        const decoding = startDecoding(name(path), options);
        for (const text of decodeText(counted(), decoding)) {
          piece += text;
          last = text;
          if (piece.length < PIECE) continue;
          yield inspected(piece);
          piece = '';
        }
        replaced += decoding.replaced;
      }
      if (piece !== '') yield inspected(piece);
      if (characters === 0)
        throw new UserError('empty-text', `${paths.map(name).join(', ')}: there is no text in it`, {
          hint: 'give a text that is not empty',
        });
      facts = { bytes, characters, replaced, sha256: hash.digest('hex'), crlf, isSorted: lines.isSorted() };
    },
    get facts() {
      if (facts === undefined) throw new Error('the corpus has not been read to its end');
      return facts;
    },
  };
}

const LINE_BREAK = Buffer.from('\n');

const name = (file: string): string => (file === '-' ? 'stdin' : file);

interface TextFile {
  readonly path: string;
  /** Whether it cannot be read again: stdin, a pipe, a terminal, a device. */
  readonly isStream: boolean;
}

/**
 * The files of a corpus. One that is named is read, whatever it is; those of folders only if they are text, and not named
 * or met in another folder.
 */
function expand(
  paths: readonly string[],
  options: DecodingOptions,
  report: Report,
): {
  files: TextFile[];
  leftOut: LeftOut;
  /** Undefined if a stream is among them. */
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
          hint: 'name files one by one to read them whatever they are',
        },
      );
    for (const [reason, count] of Object.entries(found.leftOut) as [LeftOutReason, number][])
      leftOut[reason] = (leftOut[reason] ?? 0) + count;
    return found.files.map((file) => ({ path: file, isStream: false }));
  });
  return { files, leftOut, bytes: Number.isNaN(bytes) ? undefined : bytes };
}

/** Of a machine's memory, the share that text from pipes may take; its tokens and the model need the rest. */
const SHARE_FOR_STREAMS = 0.25;

/** The bytes of a stream; what was read once comes from memory. */
function* streamChunks(path: string, kept: Map<string, readonly Uint8Array[]>): Generator<Uint8Array> {
  const known = kept.get(path);
  if (known !== undefined) {
    yield* known;
    return;
  }
  const limit = SHARE_FOR_STREAMS * machineMemory();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of path === '-' ? chunksOf(0) : fileChunks(path)) {
    bytes += chunk.length;
    if (bytes > limit)
      throw new UserError(
        'file-too-large',
        `${name(path)} has more than ${formatMemory(limit)}, a quarter of the memory there is`,
        {
          hint: 'a text from a pipe is kept in memory: write it to a file, and name that',
        },
      );
    chunks.push(chunk);
    yield chunk;
  }
  kept.set(path, chunks);
}

/** One of these bytes is in every character that takes two UTF-16 units: F0 … F4 in UTF-8, D8 … DB in UTF-16. */
const PAIR_BYTES = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xd8, 0xd9, 0xda, 0xdb];

/** Nine searches for a byte, each as fast as memory, spare most texts a loop over their characters. */
const mayHavePairs = (bytes: Uint8Array): boolean => PAIR_BYTES.some((byte) => bytes.includes(byte));

/** In Unicode code points. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}
