/**
 * A file of token ids. All numbers are little-endian:
 *
 *     offset  bytes
 *          0      8  "gpt-ids" and a zero byte
 *          8      4  version: 2, or 3 if the ids are divided into documents
 *         12      4  bytes per id: 2 or 4
 *         16      4  vocabulary size: every id is below it
 *         20      4  CRC-32 of the ids, followed by this header with zeros here
 *         24      8  number of ids
 *         32     32  SHA-256 of the tokenizer.json that made them
 *         64      4  only in version 3: id of the token that ends each document
 *   64 or 68         the ids
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
/** Undivided files keep the version that older readers know. */
const [UNDIVIDED, DIVIDED] = [2, 3];
const HEADER_BYTES = { [UNDIVIDED]: 64, [DIVIDED]: 68 };
const CHECKSUM_AT = 20;
const END_ID_AT = 64;

/** Token files are recognized by their extension. */
export const isTokenFilePath = (path: string): boolean => path.endsWith('.bin');

/** Whether a token file is among the paths of a corpus as an options record has it: one path, or a list. */
export const namesTokenFile = (corpus: unknown): boolean =>
  [corpus].flat().some((path) => typeof path === 'string' && isTokenFilePath(path));

export interface TokenFileFacts {
  readonly vocabSize: number;
  /** SHA-256 of the tokenizer.json, 32 bytes. */
  readonly tokenizerHash: Buffer;
  /** The token that ends each document; undefined if the ids are not divided. */
  readonly endId?: number | undefined;
}

/**
 * Writes ids in chunks; the file appears at `path` when it is complete.
 *
 * @returns number of ids
 */
export function writeTokenFile(
  path: string,
  pieces: Iterable<Uint32Array>,
  { vocabSize, tokenizerHash, endId }: TokenFileFacts,
): number {
  const version = endId === undefined ? UNDIVIDED : DIVIDED;
  const small = vocabSize <= 2 ** 16;
  const file = new AtomicFile(path);
  let count = 0;
  let sum = 0;
  try {
    const header = Buffer.alloc(HEADER_BYTES[version]);
    file.write(header);
    for (const ids of pieces) {
      const numbers = small ? Uint16Array.from(ids) : ids;
      sum = crc32(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), sum);
      file.write(numbers);
      count += ids.length;
    }
    header.write(MAGIC, 'latin1');
    header.writeUInt32LE(version, 8);
    header.writeUInt32LE(small ? 2 : 4, 12);
    header.writeUInt32LE(vocabSize, 16);
    header.writeBigUInt64LE(BigInt(count), 24);
    tokenizerHash.copy(header, 32);
    if (endId !== undefined) header.writeUInt32LE(endId, END_ID_AT);
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
export interface TokenFile extends TokenSource, TokenFileFacts {
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
  const start = Buffer.alloc(HEADER_BYTES[UNDIVIDED]);
  if (size >= start.length) readInto(fd, path, start, 0);
  if (!isTokenFile(start)) fail('is not a token file', undefined, 'wrong-file-kind');
  const version = start.readUInt32LE(8);
  if (version > DIVIDED)
    fail(
      `is from a newer version of gpt (version ${version}; this one reads ${DIVIDED})`,
      'update gpt to read it',
      'newer-version',
    );
  if (version !== UNDIVIDED && version !== DIVIDED)
    fail(`has version ${version}; only versions ${UNDIVIDED} and ${DIVIDED} can be read`);
  const header = Buffer.alloc(HEADER_BYTES[version]);
  if (size < header.length) fail(`is ${size} bytes long, which is less than its header`);
  readInto(fd, path, header, 0);
  const [width, vocabSize, checksum] = [12, 16, CHECKSUM_AT].map((at) => header.readUInt32LE(at));
  if (width !== 2 && width !== 4) fail(`claims ${width} bytes per id; only 2 and 4 are valid`);
  const length = Number(header.readBigUInt64LE(24));
  if (header.length + length * width !== size)
    fail(`claims ${length} ids of ${width} bytes, but is ${size} bytes long`);
  const endId = version === DIVIDED ? header.readUInt32LE(END_ID_AT) : undefined;
  if (endId !== undefined && endId >= vocabSize)
    fail(`ends documents with the id ${endId}; the vocabulary has ${vocabSize}`);
  return { header, width, vocabSize, checksum, length, endId };
}

function readTokenFile(file: OpenFile, path: string): TokenFile {
  const { fd, size } = file;
  const fail = failing(path);
  const { header, width, vocabSize, checksum, length, endId } = readHeader(file, path, fail);
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
    tokenizerHash: header.subarray(32, 64),
    endId,
    bytes: size,
    slice(start, end) {
      const bytes = new Uint8Array((end - start) * width);
      readInto(fd, path, bytes, header.length + start * width);
      return checked(bytes, start);
    },
    verify(each) {
      each?.(header);
      const chunk = new Uint8Array(Math.min(READ_CHUNK, length * width));
      let sum = 0;
      for (let at = 0; at < length * width; at += READ_CHUNK) {
        const bytes = chunk.subarray(0, Math.min(READ_CHUNK, length * width - at));
        readInto(fd, path, bytes, header.length + at);
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
