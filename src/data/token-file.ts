/**
 * A file of token ids. All numbers are little-endian:
 *
 *     offset  bytes
 *          0      8  "gpt-ids" and a zero byte
 *          8      4  version: 1
 *         12      4  bytes per id: 2 or 4
 *         16      4  vocabulary size: every id is below it
 *         20      4  0
 *         24      8  how many ids there are
 *         32     32  SHA-256 of the tokenizer.json that made them
 *         64         the ids
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { AtomicFile } from '../checkpoint/atomic.ts';
import { UserError } from '../errors.ts';
import type { TokenSource } from './token-source.ts';

const MAGIC = 'gpt-ids\0';
const VERSION = 1;
const HEADER_BYTES = 64;

/**
 * Writes ids as they come; the file appears at `path` when it is complete.
 *
 * @param tokenizerHash SHA-256 of the tokenizer.json, 32 bytes
 * @returns how many ids were written
 */
export function writeTokenFile(
  path: string,
  pieces: Iterable<Uint32Array>,
  { vocabSize, tokenizerHash }: { vocabSize: number; tokenizerHash: Buffer },
): number {
  const small = vocabSize <= 2 ** 16;
  const file = new AtomicFile(path);
  let count = 0;
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    file.write(header);
    for (const ids of pieces) {
      file.write(small ? Uint16Array.from(ids) : ids);
      count += ids.length;
    }
    header.write(MAGIC, 'latin1');
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(small ? 2 : 4, 12);
    header.writeUInt32LE(vocabSize, 16);
    header.writeBigUInt64LE(BigInt(count), 24);
    tokenizerHash.copy(header, 32);
    file.write(header, 0); // last, when the count is known
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
  return count;
}

/** An open token file: a source of ids that may be larger than memory. Close it. */
export interface TokenFile extends TokenSource {
  readonly vocabSize: number;
  readonly tokenizerHash: Buffer;
  readonly bytes: number;
  close(): void;
}

/** @throws UserError if the file is no token file or is damaged */
export function openTokenFile(path: string): TokenFile {
  const fd = openSync(path, 'r');
  try {
    return readTokenFile(fd, path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function readTokenFile(fd: number, path: string): TokenFile {
  const fail = (what: string): never => {
    throw new UserError(`${path}: ${what}`, { hint: 'make it again with `gpt tokenize … -o`' });
  };
  const { size } = fstatSync(fd);
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(fd, header, 0, HEADER_BYTES, 0) < HEADER_BYTES || header.toString('latin1', 0, 8) !== MAGIC)
    fail('is not a token file');
  const [version, width, vocabSize] = [8, 12, 16].map((at) => header.readUInt32LE(at));
  if (version !== VERSION) fail(`has the version ${version}; this program reads version ${VERSION}`);
  if (width !== 2 && width !== 4) fail(`claims ${width} bytes per id; there are 2 or 4`);
  const length = Number(header.readBigUInt64LE(24));
  if (HEADER_BYTES + length * width !== size)
    fail(`claims ${length} ids of ${width} bytes, but is ${size} bytes long`);
  return {
    length,
    vocabSize,
    tokenizerHash: header.subarray(32),
    bytes: size,
    slice(start, end) {
      const bytes = Buffer.from(new ArrayBuffer((end - start) * width));
      let done = 0;
      while (done < bytes.length) {
        const count = readSync(fd, bytes, done, bytes.length - done, HEADER_BYTES + start * width + done);
        if (count === 0) fail('became shorter while it was read');
        done += count;
      }
      const ids = width === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
      const bad = ids.findIndex((id) => id >= vocabSize);
      if (bad >= 0) fail(`has the id ${ids[bad]} at ${start + bad}; the vocabulary has ${vocabSize}`);
      return ids;
    },
    close: () => closeSync(fd),
  };
}
