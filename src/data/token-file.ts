/**
 * A file of token ids. All numbers are little-endian:
 *
 *     offset  bytes
 *          0      8  "gpt-ids" and a zero byte
 *          8      4  version: 2
 *         12      4  bytes per id: 2 or 4
 *         16      4  vocabulary size: every id is below it
 *         20      4  CRC-32 of the ids, followed by this header with zeros here
 *         24      8  number of ids
 *         32     32  SHA-256 of the tokenizer.json that made them
 *         64         the ids
 */
import { closeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { AtomicFile } from '../write-file.ts';
import { dirname } from 'node:path';
import { UserError, type ErrorCode } from '../errors.ts';
import { shellQuoted } from '../shell-quote.ts';
import { openRegularFile, READ_CHUNK, readInto, type OpenFile } from '../read-file.ts';
import type { TokenSource } from './token-source.ts';

const MAGIC = 'gpt-ids\0';
const VERSION = 2;
const HEADER_BYTES = 64;
const CHECKSUM_AT = 20;

/**
 * Writes ids in chunks; the file appears at `path` when it is complete.
 *
 * @param tokenizerHash SHA-256 of the tokenizer.json, 32 bytes
 * @returns number of ids
 */
export function writeTokenFile(
  path: string,
  pieces: Iterable<Uint32Array>,
  { vocabSize, tokenizerHash }: { vocabSize: number; tokenizerHash: Buffer },
): number {
  const small = vocabSize <= 2 ** 16;
  const file = new AtomicFile(path);
  let count = 0;
  let sum = 0;
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    file.write(header);
    for (const ids of pieces) {
      const numbers = small ? Uint16Array.from(ids) : ids;
      sum = crc32(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), sum);
      file.write(numbers);
      count += ids.length;
    }
    header.write(MAGIC, 'latin1');
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(small ? 2 : 4, 12);
    header.writeUInt32LE(vocabSize, 16);
    header.writeBigUInt64LE(BigInt(count), 24);
    tokenizerHash.copy(header, 32);
    header.writeUInt32LE(crc32(header, sum), CHECKSUM_AT);
    file.write(header, 0); // last, when the count is known
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
  return count;
}

/** An open token file, which may be larger than memory. Must be closed. */
export interface TokenFile extends TokenSource {
  readonly vocabSize: number;
  readonly tokenizerHash: Buffer;
  readonly bytes: number;
  /**
   * Reads the whole file and compares its checksum.
   *
   * @param each receives all bytes, in order
   * @throws UserError if the checksum does not match
   */
  verify(each?: (bytes: Uint8Array) => void): void;
  close(): void;
}

/** @param start the first bytes of a file */
export const isTokenFile = (start: Uint8Array): boolean =>
  Buffer.from(start.subarray(0, MAGIC.length)).toString('latin1') === MAGIC;

/** @throws UserError if the header shows that the file is damaged or not a token file */
export function openTokenFile(path: string): TokenFile {
  const file = openRegularFile(path);
  try {
    return readTokenFile(file, path);
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
}

type Fail = (what: string, hint?: string, code?: ErrorCode) => never;

/** Throws errors that name the file. */
const failing =
  (path: string): Fail =>
  (
    what,
    hint = `recreate it with \`gpt tokenize corpus.txt -o ${shellQuoted(dirname(path))}\``,
    code = 'damaged-file',
  ) => {
    throw new UserError(code, `${path}: ${what}`, { hint });
  };

/** Reads and checks the header. */
function readHeader({ fd, size }: OpenFile, path: string, fail: Fail) {
  const header = Buffer.alloc(HEADER_BYTES);
  if (size >= HEADER_BYTES) readInto(fd, path, header, 0);
  if (!isTokenFile(header)) fail('is not a token file', undefined, 'wrong-file-kind');
  const [version, width, vocabSize, checksum] = [8, 12, 16, CHECKSUM_AT].map((at) => header.readUInt32LE(at));
  if (version > VERSION)
    fail(
      `is from a newer version of gpt (version ${version}; this one reads ${VERSION})`,
      'update gpt to read it',
      'newer-version',
    );
  if (version !== VERSION) fail(`has version ${version}; only version ${VERSION} can be read`);
  if (width !== 2 && width !== 4) fail(`claims ${width} bytes per id; only 2 and 4 are valid`);
  const length = Number(header.readBigUInt64LE(24));
  if (HEADER_BYTES + length * width !== size)
    fail(`claims ${length} ids of ${width} bytes, but is ${size} bytes long`);
  return { header, width, vocabSize, checksum, length };
}

function readTokenFile(file: OpenFile, path: string): TokenFile {
  const { fd, size } = file;
  const fail = failing(path);
  const { header, width, vocabSize, checksum, length } = readHeader(file, path, fail);
  const checked = (bytes: Uint8Array<ArrayBuffer>, from: number): Uint16Array | Uint32Array => {
    const ids = new (width === 2 ? Uint16Array : Uint32Array)(
      bytes.buffer,
      bytes.byteOffset,
      bytes.length / width,
    );
    const bad = ids.findIndex((id) => id >= vocabSize);
    if (bad >= 0) fail(`has the id ${ids[bad]} at ${from + bad}; the vocabulary has ${vocabSize}`);
    return ids;
  };
  return {
    length,
    vocabSize,
    tokenizerHash: header.subarray(32),
    bytes: size,
    slice(start, end) {
      const bytes = new Uint8Array((end - start) * width);
      readInto(fd, path, bytes, HEADER_BYTES + start * width);
      return checked(bytes, start);
    },
    verify(each) {
      each?.(header);
      const chunk = new Uint8Array(Math.min(READ_CHUNK, length * width));
      let sum = 0;
      for (let at = 0; at < length * width; at += READ_CHUNK) {
        const bytes = chunk.subarray(0, Math.min(READ_CHUNK, length * width - at));
        readInto(fd, path, bytes, HEADER_BYTES + at);
        sum = crc32(bytes, sum);
        checked(bytes, at / width);
        each?.(bytes);
      }
      const blank = Buffer.from(header).fill(0, CHECKSUM_AT, CHECKSUM_AT + 4);
      if (crc32(blank, sum) !== checksum) fail('its ids do not match its checksum');
    },
    close: () => closeSync(fd),
  };
}
