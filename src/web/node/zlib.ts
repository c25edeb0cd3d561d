import { bytesOf } from './bytes.ts';

/** CRC-32 of ISO 3309, as in gzip and PNG. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param start the CRC of the preceding data */
export function crc32(data: string | Uint8Array, start = 0): number {
  let crc = ~start;
  for (const byte of bytesOf(data)) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}
