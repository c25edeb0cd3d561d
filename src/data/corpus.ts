/** Text files, folders of them and stdin, as one text that is read in pieces: it may be larger than memory. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError, UsageError } from '../errors.ts';
import { formatMemory, machineMemory } from '../machine-memory.ts';
import { decodeText, type DecodingOptions } from './decode-text.ts';

/** Bytes read at once. */
const CHUNK = 1 << 20;
/** What counts as text in a folder; a file named by itself may be called anything. */
const TEXT_FILE = /\.(txt|text|md|markdown|rst|csv|tsv|json|jsonl|html?|xml|tex|org)$/i;

export interface CorpusFacts {
  readonly bytes: number;
  /** In Unicode code points. */
  readonly characters: number;
  /** SHA-256 over all bytes, in hexadecimal: resuming refuses another corpus. */
  readonly sha256: string;
  /** Whether some lines end in \r\n. They are kept as they are. */
  readonly crlf: boolean;
}

/** A text that can be read from start to end, any number of times. */
export interface Corpus {
  /** The files, in order. Their texts follow each other directly, as `cat` would have them. */
  readonly files: readonly string[];
  /** The text in pieces. Throws UserError for what is not text. */
  text(): Generator<string>;
  /** Known once the text has been read to its end. */
  readonly facts: CorpusFacts;
}

/**
 * @param paths files, folders (their text files, recursively, in the order of their names) and `-` for stdin. What can be
 *   read only once, such as stdin and pipes, is kept.
 * @throws UserError for a path that is not there, a folder without text, or no text at all
 */
export function openCorpus(paths: readonly string[], options: DecodingOptions): Corpus {
  if (paths.length === 0)
    throw new UsageError('no text was given', { hint: 'name a file, a folder, or - for stdin' });
  const files = paths.flatMap(expand);
  const kept = new Map<string, readonly Uint8Array[]>();
  let facts: CorpusFacts | undefined;
  return {
    files,
    *text() {
      const hash = createHash('sha256');
      let bytes = 0;
      let characters = 0;
      let crlf = false;
      let pairs = false;
      for (const file of files) {
        const counted = function* (): Generator<Uint8Array> {
          for (const chunk of isStream(file) ? streamChunks(file, kept) : fileChunks(file)) {
            hash.update(chunk);
            bytes += chunk.length;
            pairs ||= mayHavePairs(chunk);
            yield chunk;
          }
        };
        for (const piece of decodeText(counted(), name(file), options)) {
          characters += pairs ? countCharacters(piece) : piece.length;
          crlf ||= piece.includes('\r\n');
          yield piece;
        }
      }
      if (characters === 0)
        throw new UserError(`${files.map(name).join(', ')}: there is no text in it`, {
          hint: 'give a text that is not empty',
        });
      facts = { bytes, characters, sha256: hash.digest('hex'), crlf };
    },
    get facts() {
      if (facts === undefined) throw new Error('the corpus has not been read to its end');
      return facts;
    },
  };
}

const name = (file: string): string => (file === '-' ? 'stdin' : file);

function expand(path: string): string[] {
  if (path === '-' || !statSync(path).isDirectory()) return [path];
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXT_FILE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (found.length === 0)
    throw new UserError(`the folder ${path} has no text files`, {
      hint: 'files named .txt, .md and the like are read; name others one by one',
    });
  return found;
}

/** Whether a path is nothing that can be read again: stdin, a pipe, a terminal, a device. */
const isStream = (path: string): boolean => path === '-' || !statSync(path).isFile();

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

/** The bytes of a file. */
export function* fileChunks(path: string): Generator<Uint8Array> {
  const fd = openSync(path, 'r');
  try {
    yield* chunksOf(fd);
  } finally {
    closeSync(fd);
  }
}

/** The bytes of an open file, each chunk in memory of its own. */
export function* chunksOf(fd: number): Generator<Uint8Array> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const length = readSome(fd, chunk);
    if (length === 0) return;
    // A pipe gives little at a time: what is kept of it must not hold a whole chunk each.
    yield length < CHUNK / 2 ? Buffer.from(chunk.subarray(0, length)) : chunk.subarray(0, length);
  }
}

/** Reads what is there. A terminal or pipe that is not ready yet says EAGAIN: ask again shortly. */
function readSome(fd: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, chunk);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0; // Windows says so at the end of a pipe
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** A byte of these is in every character that takes two UTF-16 units: F0 … F4 in UTF-8, D8 … DB in UTF-16. */
const PAIR_BYTES = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xd8, 0xd9, 0xda, 0xdb];

/** Nine searches for a byte, each as fast as memory, spare most texts a loop over their characters. */
const mayHavePairs = (bytes: Uint8Array): boolean => PAIR_BYTES.some((byte) => bytes.includes(byte));

/** In Unicode code points. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}
