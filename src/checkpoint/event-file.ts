/**
 * Event files, as TensorBoard reads them: TFRecords (tensorflow/core/lib/io/record_writer.h), each with an Event
 * (tensorflow/core/util/event.proto) in the encoding of Protocol Buffers.
 *
 *     record   length u64, masked CRC-32C of it u32, data, masked CRC-32C of the data u32; little-endian
 */

/** A value in a chart. */
export interface Scalar {
  /** Name of the chart: `train/loss`. */
  readonly tag: string;
  readonly value: number;
}

export interface ScalarEvent {
  /** In seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly scalars: readonly Scalar[];
}

/** Writer named in the first record of a file, which identifies the file as ours. */
export const EVENT_WRITER = 'gpt-trainer';

/** The first record of a file: its version, and who wrote it. */
export const versionRecord = (wallTime: number): Buffer =>
  record([
    double(1, wallTime),
    bytes(3, Buffer.from('brain.Event:2')),
    bytes(10, bytes(1, Buffer.from(EVENT_WRITER))),
  ]);

/** SessionLog.START: readers discard earlier records from this step on. */
export const startRecord = (wallTime: number, step: number): Buffer =>
  record([double(1, wallTime), integer(2, step), bytes(7, integer(1, 1))]);

export const scalarRecord = ({ wallTime, step, scalars }: ScalarEvent): Buffer =>
  record([
    double(1, wallTime),
    integer(2, step),
    bytes(5, Buffer.concat(scalars.map((scalar) => bytes(1, summaryValue(scalar))))),
  ]);

const summaryValue = ({ tag, value }: Scalar): Buffer =>
  Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)]);

function record(fields: readonly Buffer[]): Buffer {
  const data = Buffer.concat(fields);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, maskedChecksum(length), data, maskedChecksum(data)]);
}

/** A CRC of data that has CRCs in it would be weak, so TFRecords store it rotated, plus a constant. */
function maskedChecksum(data: Buffer): Buffer {
  const crc = crc32c(data);
  const masked = ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
  const result = Buffer.alloc(4);
  result.writeUInt32LE(masked >>> 0);
  return result;
}

/** Castagnoli's polynomial, bit-reversed. */
const POLYNOMIAL = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C (RFC 3720, appendix B.4). */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}

// The wire types of Protocol Buffers. Field numbers up to 15 take one byte.
const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];
const key = (field: number, type: number): Buffer => Buffer.of((field << 3) | type);

function double(field: number, value: number): Buffer {
  const content = Buffer.alloc(8);
  content.writeDoubleLE(value);
  return Buffer.concat([key(field, FIXED64), content]);
}

function float(field: number, value: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32), content]);
}

const integer = (field: number, value: number): Buffer => Buffer.concat([key(field, VARINT), varint(value)]);

const bytes = (field: number, content: Buffer): Buffer =>
  Buffer.concat([key(field, LENGTH), varint(content.length), content]);

/** Seven bits per byte, the lowest first. */
function varint(value: number): Buffer {
  const result: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...result, rest]);
    result.push((rest % 128) | 128);
  }
}
