/**
 * The safetensors format, without a library:
 *
 *     8 bytes   n, the length of the header, unsigned, little-endian; at most 100,000,000
 *     n bytes   JSON: { "name": { "dtype": "F32", "shape": [2,3], "data_offsets": [0,24] }, …, "__metadata__": { … } },
 *               padded with spaces so that the data starts at a multiple of 8
 *     the rest  the numbers, little-endian, row-major; offsets are relative to its start, contiguous, and cover it all
 *
 * Everything is validated before it is used, and no allocation trusts the header alone. Files written here are marked in
 * `__metadata__`, with a CRC-32 over all names, shapes and numbers that is verified on reading. It detects damage, not
 * malice: every burst of up to 32 bits, and all but one in 2³² of other changes. SHA-256 would take 2.5 times as long.
 */
import { closeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { UserError } from '../errors.ts';
import { widened } from '../half-precision.ts';
import { shownJson } from '../json.ts';
import { elements } from '../model/parameters.ts';
import {
  halfTargetOf,
  piecesOf,
  Scratch,
  writeTensor,
  type NamedTensor,
  type TensorSource,
  type TensorTarget,
} from '../model/tensor.ts';
import { openRegularFile, readInto, type OpenFile } from '../read-file.ts';
import type { Bytes } from '../write-file.ts';
import {
  converters,
  encoders,
  firstNonFinite,
  firstNonFiniteHalf,
  halfStorageOf,
  halvesOf,
  type WeightDtype,
} from './safetensors-dtypes.ts';
import {
  dtypeSizes,
  METADATA,
  parseHeader,
  SafetensorsError,
  type Fail,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensors-header.ts';

const HEADER_LIMIT = 100_000_000;
/** Metadata key that marks files written here. */
const FORMAT_KEY = 'gpt_trainer_format';
const CHECKSUM_KEY = 'gpt_trainer_crc32';
const FORMAT = 1;

type Metadata = Readonly<Record<string, string>>;

/** Chunks of a file with float32 tensors sorted by name; a checksum is added to the metadata. */
export function safetensorsPieces(tensors: readonly NamedTensor[], metadata: Metadata): Bytes[] {
  const { sorted, entries, facts } = layOut(tensors, metadata);
  let sum = headerSum(entries, facts);
  for (const { data } of sorted) sum = crc32(bytesOf(data), sum);
  return [headerBytes(entries, facts, sum), ...sorted.map(({ data }) => data)];
}

/** Elements per chunk when tensors on a device are saved: 1 MB. */
const WRITE_CHUNK = 2 ** 18;

/** `safetensorsPieces` for tensors on a device. Each is read twice, first for the checksum, which precedes the data. */
export async function* streamSafetensors(
  tensors: readonly TensorSource[],
  metadata: Metadata,
): AsyncGenerator<Bytes> {
  const { sorted, entries, facts } = layOut(tensors, metadata);
  let sum = headerSum(entries, facts);
  for await (const numbers of piecesOf(sorted, WRITE_CHUNK)) sum = crc32(bytesOf(numbers), sum);
  yield headerBytes(entries, facts, sum);
  yield* piecesOf(sorted, WRITE_CHUNK);
}

/** A tensor whose numbers are requested when they are needed. */
export interface LazyTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly read: () => Float32Array;
}

/** `safetensorsPieces` for tensors of one dtype, read one at a time; each is read twice, as in `streamSafetensors`. */
export function* encodedSafetensors(
  tensors: readonly LazyTensor[],
  metadata: Metadata,
  dtype: WeightDtype,
): Generator<Uint8Array> {
  const { sorted, entries, facts } = layOut(tensors, metadata, dtype);
  let sum = headerSum(entries, facts);
  for (const bytes of encodedTensors(sorted, dtype)) sum = crc32(bytes, sum);
  yield headerBytes(entries, facts, sum);
  yield* encodedTensors(sorted, dtype);
}

function* encodedTensors(tensors: readonly LazyTensor[], dtype: WeightDtype): Generator<Uint8Array> {
  for (const { read } of tensors) {
    const values = read();
    for (let at = 0; at < values.length; at += WRITE_CHUNK)
      yield encoders[dtype](values.subarray(at, at + WRITE_CHUNK));
  }
}

/** The order of tensors in a file, their entries in the header, and the metadata without the checksum. */
function layOut<T extends Omit<LazyTensor, 'read'>>(
  tensors: readonly T[],
  metadata: Metadata,
  dtype: WeightDtype = 'F32',
) {
  const sorted = tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  let offset = 0;
  const entries = sorted.map(({ name, shape }): TensorEntry => {
    const start = offset;
    offset += dtypeSizes[dtype] * elements(shape);
    return { name, dtype, shape, start, end: offset };
  });
  return { sorted, entries, facts: { ...metadata, [FORMAT_KEY]: String(FORMAT) } };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** All bytes of a file before the data. @param sum the checksum of the whole file */
function headerBytes(entries: readonly TensorEntry[], facts: Metadata, sum: number): Uint8Array {
  const header = Buffer.from(
    JSON.stringify({
      [METADATA]: { ...facts, [CHECKSUM_KEY]: shownSum(sum) },
      ...Object.fromEntries(
        entries.map(({ name, dtype, shape, start, end }) => [
          name,
          { dtype, shape, data_offsets: [start, end] },
        ]),
      ),
    }),
  );
  const length = Math.ceil(header.length / 8) * 8;
  const bytes = Buffer.alloc(8 + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length));
  header.copy(bytes, 8);
  return bytes;
}

/** The checksum in the metadata of `safetensorsPieces`' result. */
export function checksumOf([header]: readonly Bytes[]): string {
  const json = JSON.parse(Buffer.from(header as Uint8Array).toString('utf8', 8)) as Record<
    string,
    Record<string, string>
  >;
  return json[METADATA][CHECKSUM_KEY];
}

/** Checksum of the header's content, independent of its formatting, since damage could also swap two names. */
function headerSum(tensors: Iterable<TensorEntry>, metadata: Readonly<Record<string, string>>): number {
  const facts = Object.entries(metadata)
    .filter(([key]) => key !== CHECKSUM_KEY)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return crc32(JSON.stringify([[...tensors].map(({ name, dtype, shape }) => [name, dtype, shape]), facts]));
}

const shownSum = (sum: number): string => sum.toString(16).padStart(8, '0');

export interface TensorLoadOptions {
  /**
   * Accept NaN and infinity, for checkpoints of a run that was stopped while diverging: after resuming, it rolls back by
   * itself (train/divergence.ts).
   */
  readonly allowNonFinite?: boolean;
  /** Called with the share that has been read, 0 … 1. */
  readonly loaded?: (done: number) => void;
}

/** An open file with a validated header. Must be closed. */
export interface SafetensorsFile extends SafetensorsHeader {
  /** CRC-32 of names, shapes, metadata and data, in hexadecimal; undefined for files of other programs. */
  readonly checksum: string | undefined;
  /** Reads a tensor as float32. F16 and BF16 convert exactly, F64 is rounded. */
  read(name: string): Float32Array;
  /**
   * Loads tensors, one after the other. The same pass verifies the checksum, if there is one, and that all values are finite.
   * After an exception the contents of the targets are undefined.
   *
   * @param into by tensor name; each array has the tensor's length
   * @throws SafetensorsError if the checksum does not match, or a value is NaN or infinite
   */
  load(into: ReadonlyMap<string, TensorTarget>, options?: TensorLoadOptions): void;
  close(): void;
}

/** @throws SafetensorsError, or a system error if the file cannot be read */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openRegularFile(path);
  const fail: Fail = (problem, detail) => {
    throw new SafetensorsError(path, problem, detail);
  };
  try {
    const header = readHeader(file, path, fail);
    const checksum = expectedChecksum(header.metadata, fail);
    const reader: TensorReader = {
      fd: file.fd,
      path,
      dataStart: header.dataStart,
      bytes: new Scratch(),
      numbers: new Scratch(),
    };
    return {
      ...header,
      checksum,
      read(name) {
        const tensor = header.tensors.get(name);
        if (tensor === undefined)
          throw new UserError('file-not-found', `${path} has no tensor ${shownJson(name)}`, {
            hint: 'use a name among the keys of `tensors`',
          });
        checkIsWeight(path, tensor);
        const values = new Float32Array((tensor.end - tensor.start) / dtypeSizes[tensor.dtype]);
        readTensor(reader, tensor, 0, ({ numbers, first }) => values.set(numbers, first));
        return values;
      },
      load(into, { allowNonFinite = false, loaded } = {}) {
        const bytes = file.size - header.dataStart;
        let sum = headerSum(header.tensors.values(), header.metadata);
        let notFinite: string | undefined;
        for (const tensor of header.tensors.values()) {
          const target = into.get(tensor.name);
          if (target !== undefined) checkTarget(path, tensor, target);
          else if (checksum === undefined) continue;
          const use = (chunk: Chunk): void => {
            loaded?.((tensor.start + chunk.bytesDone) / bytes);
            if (target === undefined) return;
            writeChunk(target, chunk);
            if (!allowNonFinite) notFinite ??= findNonFinite(tensor, target, chunk);
          };
          const keepsBits = target !== undefined && halfTargetOf(target) !== undefined;
          sum = readTensor(reader, tensor, sum, use, keepsBits);
        }
        if (checksum !== undefined && shownSum(sum) !== checksum)
          fail(
            'checksum differs',
            `the checksum is ${shownSum(sum)}, but it was written with ${shownJson(checksum)}`,
          );
        if (notFinite !== undefined) fail('not finite', notFinite); // after the checksum: damage takes precedence
      },
      close: () => closeSync(file.fd),
    };
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
}

function readHeader({ fd, size }: OpenFile, path: string, fail: Fail): SafetensorsHeader {
  if (size < 8) fail('too short', `${size} bytes are too few for a safetensors file`);
  const start = Buffer.alloc(8);
  readInto(fd, path, start, 0);
  const length = Number(start.readBigUInt64LE());
  if (length > HEADER_LIMIT)
    fail('header too large', `the header claims ${length} bytes; at most ${HEADER_LIMIT} are allowed`);
  if (8 + length > size)
    fail('header beyond the end', `the header claims ${length} bytes, but the file has only ${size}`);
  const bytes = Buffer.alloc(length);
  readInto(fd, path, bytes, 8);
  return parseHeader(bytes, size - 8 - length, fail);
}

/** The expected checksum; undefined for a file of another program. */
function expectedChecksum(
  { [FORMAT_KEY]: format, [CHECKSUM_KEY]: checksum }: Readonly<Record<string, string | undefined>>,
  fail: Fail,
): string | undefined {
  if (format === undefined && checksum === undefined) return undefined;
  if (format !== undefined && /^\d+$/.test(format) && Number(format) > FORMAT)
    fail('newer version', `is from a newer version of gpt (format ${format}; this one reads ${FORMAT})`);
  if (format !== String(FORMAT) || checksum === undefined)
    fail(
      'checksum missing',
      `"${METADATA}" has the ${FORMAT_KEY} ${shownJson(format)} and the ${CHECKSUM_KEY} ${shownJson(checksum)}`,
    );
  return checksum;
}

/** Bytes per read, small enough to stay in L2 for the checksum, the conversion and the NaN search. */
const CHUNK = 256 << 10;

/** An open file, and memory to read it through. */
interface TensorReader {
  readonly fd: number;
  readonly path: string;
  readonly dataStart: number;
  readonly bytes: Scratch;
  readonly numbers: Scratch;
}

/** The numbers just read; valid until the next chunk is read. */
interface Chunk {
  /** Empty for a dtype that is not converted. */
  readonly numbers: Float32Array;
  /** The same numbers as stored in the file. */
  readonly bytes: Uint8Array;
  /** Index of the first of them in the tensor. */
  readonly first: number;
  /** Bytes of the tensor that have been read so far. */
  readonly bytesDone: number;
}

/**
 * Reads one tensor in chunks and converts it to float32.
 *
 * @param sum the checksum of everything before it
 * @param keepsBits 16-bit numbers are not converted
 * @returns the checksum, continued with the tensor's bytes
 */
function readTensor(
  { fd, path, dataStart, bytes: memory, numbers: converted }: TensorReader,
  { dtype, start, end }: TensorEntry,
  sum: number,
  use: (chunk: Chunk) => void,
  keepsBits = false,
): number {
  const size = dtypeSizes[dtype];
  for (let at = 0; at < end - start; at += CHUNK) {
    const length = Math.min(CHUNK, end - start - at);
    const floats = memory.take(CHUNK / 4);
    const bytes = bytesOf(floats).subarray(0, length);
    readInto(fd, path, bytes, dataStart + start + at);
    sum = crc32(bytes, sum);
    const convert = keepsBits ? undefined : converters[dtype];
    const numbers =
      dtype === 'F32' ? floats.subarray(0, length / 4) : converted.take(convert ? length / size : 0);
    convert?.(bytes, numbers);
    use({ numbers, bytes, first: at / size, bytesDone: at + length });
  }
  return sum;
}

function writeChunk(target: TensorTarget, { numbers, bytes, first }: Chunk): void {
  const half = halfTargetOf(target);
  if (half === undefined) writeTensor(target, numbers, first);
  else half.write(halvesOf(bytes), first);
}

/** Describes the first NaN or infinity of a chunk that has been written to its target. */
function findNonFinite(
  { name }: TensorEntry,
  target: TensorTarget,
  { numbers, bytes, first }: Chunk,
): string | undefined {
  const half = halfTargetOf(target);
  const search = 'data' in target ? undefined : target.firstNonFinite;
  const index =
    half === undefined
      ? (search?.(first, numbers.length) ?? firstNonFinite(numbers))
      : firstNonFiniteHalf(halvesOf(bytes), half.storage);
  if (index < 0) return undefined;
  const value =
    half === undefined
      ? numbers[index]
      : widened(halvesOf(bytes).subarray(index, index + 1), half.storage)[0];
  const length = elements(target.shape);
  return `${shownJson(name)} holds ${value} (element ${first + index} of ${length})`;
}

/** @throws UserError if the tensor's dtype is not one used for weights */
function checkTarget(path: string, tensor: TensorEntry, target: TensorTarget): void {
  checkIsWeight(path, tensor);
  const { name, dtype, start, end } = tensor;
  const storage = halfTargetOf(target)?.storage;
  if (storage !== undefined && storage !== halfStorageOf(dtype))
    throw new Error(`"${name}" is ${dtype}, but there is memory for ${storage}`);
  const room = 'data' in target ? target.data.length : elements(target.shape);
  if (room !== (end - start) / dtypeSizes[dtype])
    throw new RangeError(`"${name}" has ${end - start} bytes of ${dtype}, and room for ${room} numbers`);
}

function checkIsWeight(path: string, { name, dtype }: TensorEntry): void {
  if (dtype !== 'F32' && converters[dtype] === undefined)
    throw new UserError(
      'unsupported-format',
      `${path}: ${shownJson(name)} has the dtype ${dtype}; F32, F16, BF16 and F64 can be read`,
    );
}
