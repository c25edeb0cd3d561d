/**
 * The safetensors format, read and written without any library:
 *
 *     8 bytes   n, the length of the header, unsigned, little-endian; at most 100,000,000
 *     n bytes   JSON: { "name": { "dtype": "F32", "shape": [2,3], "data_offsets": [0,24] }, …, "__metadata__": { … } },
 *               padded with spaces so that the data starts at a multiple of 8
 *     the rest  the numbers, little-endian, row-major; offsets are relative to its start, contiguous, and cover it all
 *
 * Everything is checked before anything is used: a file that fits in no detail is refused, and nothing is allocated that
 * only the header claims. What we write carries a SHA-256 of the data in `__metadata__`, which reading verifies.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { duplicateKey } from './duplicate-key.ts';

/** What can be wrong with a file. Each has a test of its own. */
export type SafetensorsProblem =
  | 'too short'
  | 'header too large'
  | 'header beyond the end'
  | 'header is not UTF-8'
  | 'header is not JSON'
  | 'duplicate name'
  | 'bad metadata'
  | 'bad entry'
  | 'unknown dtype'
  | 'size does not fit the shape'
  | 'hole or overlap'
  | 'trailing bytes'
  | 'checksum differs';

export class SafetensorsError extends UserError {
  override readonly name = 'SafetensorsError';
  readonly problem: SafetensorsProblem;
  constructor(file: string, problem: SafetensorsProblem, detail: string) {
    super(`${file}: ${detail}`, {
      hint: 'the file is damaged or was not written completely; use another copy',
    });
    this.problem = problem;
  }
}

/** Bytes a number of each type takes. */
const dtypeSizes = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof dtypeSizes;

export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Bytes from the start of the data. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the data starts in the file, in bytes. */
  readonly dataStart: number;
}

const HEADER_LIMIT = 100_000_000;
const CHECKSUM = 'sha256';

/** A tensor to be written. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The pieces of a file with float32 tensors, ordered by name; the metadata gets a checksum of the data. */
export function safetensorsPieces(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): (Uint8Array | Float32Array)[] {
  const sorted = tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const hash = createHash('sha256');
  for (const { data } of sorted) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const header: Record<string, unknown> = { __metadata__: { ...metadata, [CHECKSUM]: hash.digest('hex') } };
  let offset = 0;
  for (const { name, shape, data } of sorted) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return [length, padded, ...sorted.map(({ data }) => data)];
}

/** An open file whose header has been checked. Close it. */
export interface SafetensorsFile extends SafetensorsHeader {
  /** The numbers of a tensor as float32: F32 as they are, F16 and BF16 exactly, F64 rounded. */
  read(name: string): Float32Array;
  /** Throws SafetensorsError unless the data is what was written; does nothing for files without a checksum. */
  verify(): void;
  close(): void;
}

/** @throws SafetensorsError, or a system error if the file cannot be read */
export function openSafetensors(path: string): SafetensorsFile {
  const fd = openSync(path, 'r');
  try {
    const header = readHeader(fd, path);
    return {
      ...header,
      read: (name) => readTensor(fd, path, header, name),
      verify: () => verifyChecksum(fd, path, header),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function readHeader(fd: number, file: string): SafetensorsHeader {
  const fail = (problem: SafetensorsProblem, detail: string): never => {
    throw new SafetensorsError(file, problem, detail);
  };
  const { size } = fstatSync(fd);
  if (size < 8) fail('too short', `${size} bytes are too few for a safetensors file`);
  const length = Number(readExactly(fd, 0, 8).readBigUInt64LE());
  if (length > HEADER_LIMIT)
    fail('header too large', `the header claims ${length} bytes; at most ${HEADER_LIMIT} are allowed`);
  if (8 + length > size)
    fail('header beyond the end', `the header claims ${length} bytes, but the file has only ${size}`);
  return parseHeader(readExactly(fd, 8, length), size - 8 - length, fail);
}

/** Checks a header. @param dataLength bytes behind it in the file */
function parseHeader(
  bytes: Buffer,
  dataLength: number,
  fail: (problem: SafetensorsProblem, detail: string) => never,
): SafetensorsHeader {
  const { text, json } = parseJson(bytes, fail);
  const twice = duplicateKey(text);
  if (twice !== undefined) fail('duplicate name', `the header has "${twice}" twice`);

  const tensors: TensorEntry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') metadata = checkMetadata(value, fail);
    else tensors.push(checkEntry(name, value, fail));
  }
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = 0;
  for (const tensor of tensors) {
    if (tensor.start !== end)
      fail('hole or overlap', `"${tensor.name}" starts at byte ${tensor.start} of the data, not at ${end}`);
    end = tensor.end;
  }
  if (end !== dataLength)
    fail(
      end > dataLength ? 'too short' : 'trailing bytes',
      `the tensors take ${end} bytes, but the file has ${dataLength} for them`,
    );
  return {
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata,
    dataStart: 8 + bytes.length,
  };
}

function parseJson(
  bytes: Buffer,
  fail: (problem: SafetensorsProblem, detail: string) => never,
): { text: string; json: Record<string, unknown> } {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail('header is not UTF-8', 'the header is not UTF-8 text');
  }
  try {
    const json: unknown = JSON.parse(text);
    if (text.startsWith('{') && isObject(json)) return { text, json };
  } catch {
    // the same complaint as for JSON that is no object
  }
  return fail('header is not JSON', 'the header is not a JSON object');
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkMetadata(
  value: unknown,
  fail: (problem: SafetensorsProblem, detail: string) => never,
): Record<string, string> {
  if (!isObject(value)) return fail('bad metadata', '"__metadata__" is not an object');
  for (const [key, entry] of Object.entries(value))
    if (typeof entry !== 'string') fail('bad metadata', `"__metadata__" has "${key}", which is not a string`);
  return value as Record<string, string>;
}

function checkEntry(
  name: string,
  value: unknown,
  fail: (problem: SafetensorsProblem, detail: string) => never,
): TensorEntry {
  if (!isObject(value)) return fail('bad entry', `"${name}" is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const isSize = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeSizes, dtype))
    return fail('unknown dtype', `"${name}" has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize))
    return fail('bad entry', `"${name}" has the shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1])
    return fail('bad entry', `"${name}" has the data_offsets ${JSON.stringify(offsets)}`);
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((a: number, b: number) => a * b, dtypeSizes[dtype as Dtype]);
  if (bytes !== end - start)
    fail(
      'size does not fit the shape',
      `"${name}" is ${dtype} [${shape.join(',')}], ${bytes} bytes, but has ${end - start}`,
    );
  return { name, dtype: dtype as Dtype, shape, start, end };
}

function readTensor(
  fd: number,
  file: string,
  { tensors, dataStart }: SafetensorsHeader,
  name: string,
): Float32Array {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new UserError(`${file} has no tensor "${name}"`);
  const bytes = readExactly(fd, dataStart + tensor.start, tensor.end - tensor.start);
  switch (tensor.dtype) {
    case 'F32':
      return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    case 'F64':
      return Float32Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8));
    case 'BF16': {
      // The upper half of a float32.
      const bits = Uint32Array.from(
        new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2),
        (x) => x << 16,
      );
      return new Float32Array(bits.buffer);
    }
    case 'F16':
      return Float32Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), fromHalf);
    case 'I64':
    case 'U64':
    case 'I32':
    case 'U32':
    case 'I16':
    case 'U16':
    case 'I8':
    case 'U8':
    case 'BOOL':
      throw new UserError(
        `${file}: "${name}" has the dtype ${tensor.dtype}; F32, F16, BF16 and F64 can be read`,
      );
    default:
      return tensor.dtype satisfies never;
  }
}

/** IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function verifyChecksum(fd: number, file: string, { tensors, metadata, dataStart }: SafetensorsHeader): void {
  const expected = metadata[CHECKSUM];
  if (expected === undefined) return;
  const hash = createHash('sha256');
  const end = Math.max(0, ...[...tensors.values()].map((tensor) => tensor.end));
  for (let at = 0; at < end; at += READ_CHUNK)
    hash.update(readExactly(fd, dataStart + at, Math.min(READ_CHUNK, end - at)));
  if (hash.digest('hex') !== expected)
    throw new SafetensorsError(
      file,
      'checksum differs',
      'the weights are not those that were written (checksum differs)',
    );
}

const READ_CHUNK = 16 << 20;

/** Bytes from a place in a file, in memory of their own, aligned for any number type. */
function readExactly(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(length));
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, Math.min(READ_CHUNK, length - done), position + done);
    if (count === 0) throw new Error('the file became shorter while it was read');
    done += count;
  }
  return bytes;
}
