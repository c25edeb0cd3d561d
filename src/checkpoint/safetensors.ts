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
import { shownJson } from '../json.ts';
import { openRegularFile, readInto, type OpenFile } from '../read-file.ts';
import { converters, firstNonFinite } from './safetensors-dtypes.ts';
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

/** A tensor to be written. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Chunks of a file with float32 tensors sorted by name; a checksum is added to the metadata. */
export function safetensorsPieces(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): (Uint8Array | Float32Array)[] {
  const sorted = tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  let offset = 0;
  const entries = sorted.map(({ name, shape, data }): TensorEntry => {
    const start = offset;
    offset += data.byteLength;
    return { name, dtype: 'F32', shape, start, end: offset };
  });
  const facts = { ...metadata, [FORMAT_KEY]: String(FORMAT) };
  let sum = headerSum(entries, facts);
  for (const { data } of sorted)
    sum = crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), sum);
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
  const padded = Buffer.alloc(Math.ceil(header.length / 8) * 8, ' ');
  header.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return [length, padded, ...sorted.map(({ data }) => data)];
}

/** The checksum in the metadata of `safetensorsPieces`' result. */
export function checksumOf([, header]: readonly (Uint8Array | Float32Array)[]): string {
  const json = JSON.parse(Buffer.from(header as Uint8Array).toString()) as Record<
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

export interface LoadOptions {
  /**
   * Accept NaN and infinity, for checkpoints of a run that was stopped while diverging: after resuming, it rolls back by
   * itself (train/divergence.ts).
   */
  readonly allowNonFinite?: boolean;
  /**
   * Finds the index of the first NaN or infinity in an array: −1 if there is none, undefined if it does not support the
   * array. The engine has a fast one for its memory (Backend.firstNonFinite).
   */
  readonly firstNonFinite?: ((values: Float32Array) => number | undefined) | undefined;
  /** Called with the share that has been read, 0 … 1. */
  readonly loaded?: (done: number) => void;
}

/** An open file with a validated header. Must be closed. */
export interface SafetensorsFile extends SafetensorsHeader {
  /** Over names, shapes, metadata and data, in hexadecimal; undefined for files from elsewhere. */
  readonly checksum: string | undefined;
  /** Reads a tensor as float32. F16 and BF16 convert exactly, F64 is rounded. */
  read(name: string): Float32Array;
  /**
   * Reads tensors into memory allocated by the caller. The same pass verifies the checksum, if there is one, and that all
   * values are finite. After an exception the contents of the memory are undefined.
   *
   * @param into by tensor name; each array has the tensor's length
   * @throws SafetensorsError if the checksum does not match, or a value is NaN or infinite
   */
  load(into: ReadonlyMap<string, Float32Array>, options?: LoadOptions): void;
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
    return {
      ...header,
      checksum,
      read(name) {
        const tensor = header.tensors.get(name);
        if (tensor === undefined)
          throw new UserError('file-not-found', `${path} has no tensor ${shownJson(name)}`);
        checkIsWeight(path, tensor);
        const values = new Float32Array((tensor.end - tensor.start) / dtypeSizes[tensor.dtype]);
        readTensor(file.fd, path, header, tensor, values);
        return values;
      },
      load(into, { allowNonFinite = false, firstNonFinite: search, loaded } = {}) {
        const bytes = file.size - header.dataStart;
        let sum = headerSum(header.tensors.values(), header.metadata);
        let notFinite: string | undefined;
        for (const tensor of header.tensors.values()) {
          const values = into.get(tensor.name);
          if (values !== undefined) checkIsWeight(path, tensor);
          else if (checksum === undefined) continue;
          sum = readTensor(file.fd, path, header, tensor, values, sum, (done, fresh) => {
            loaded?.((tensor.start + done) / bytes);
            if (values === undefined || allowNonFinite || notFinite !== undefined) return;
            const index = search?.(fresh) ?? firstNonFinite(fresh);
            if (index >= 0) notFinite = describeNonFinite(tensor.name, values, fresh, index);
          });
        }
        if (checksum !== undefined && shownSum(sum) !== checksum)
          fail(
            'checksum differs',
            `the checksum is ${shownSum(sum)}, but it was written with ${shownJson(checksum)}`,
          );
        if (notFinite !== undefined) fail('not finite', notFinite); // if there is damage, that is the error to report
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

/** The expected checksum; undefined for a file from elsewhere. */
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

/** Bytes per read, few enough for checksum, conversion and NaN search to find them in L2. */
const CHUNK = 256 << 10;
const NO_VALUES = new Float32Array(0);

/**
 * Reads a tensor and converts it to float32.
 *
 * @param values destination, if any
 * @param sum checksum of the preceding bytes
 * @param read called after each chunk with the bytes read so far and the part of `values` just filled
 * @returns the checksum including this tensor
 */
function readTensor(
  fd: number,
  path: string,
  { dataStart }: SafetensorsHeader,
  { name, dtype, start, end }: TensorEntry,
  values: Float32Array | undefined,
  sum = 0,
  read: (bytes: number, fresh: Float32Array) => void = () => {},
): number {
  const size = dtypeSizes[dtype];
  if (values !== undefined && values.length !== (end - start) / size)
    throw new RangeError(
      `"${name}" has ${end - start} bytes of ${dtype}, and room for ${values.length} numbers`,
    );
  const isDirect = values !== undefined && dtype === 'F32';
  const scratch = new Uint8Array(isDirect ? 0 : Math.min(CHUNK, end - start));
  for (let at = 0; at < end - start; at += CHUNK) {
    const length = Math.min(CHUNK, end - start - at);
    const bytes = isDirect
      ? new Uint8Array(values.buffer, values.byteOffset + at, length)
      : scratch.subarray(0, length);
    readInto(fd, path, bytes, dataStart + start + at);
    sum = crc32(bytes, sum);
    if (!isDirect && values !== undefined) converters[dtype]?.(bytes, values, at / size);
    read(at + length, values?.subarray(at / size, (at + length) / size) ?? NO_VALUES);
  }
  return sum;
}

const describeNonFinite = (name: string, values: Float32Array, part: Float32Array, index: number): string => {
  const element = (part.byteOffset - values.byteOffset) / 4 + index;
  return `${shownJson(name)} holds ${part[index]} (element ${element} of ${values.length})`;
};

function checkIsWeight(path: string, { name, dtype }: TensorEntry): void {
  if (dtype !== 'F32' && converters[dtype] === undefined)
    throw new UserError(
      'unsupported-format',
      `${path}: ${shownJson(name)} has the dtype ${dtype}; F32, F16, BF16 and F64 can be read`,
    );
}
