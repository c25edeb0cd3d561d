/** Pieces of text as the tokens of their UTF-8 bytes. */
import type { SymbolReader } from './bpe-merging.ts';

/** @param byteIds token of each byte */
export const byteSymbols =
  (byteIds: Int32Array): SymbolReader =>
  (units, start, end, ids) => {
    let n = 0;
    for (let i = start; i < end; i++) {
      let point = units.getUint16(2 * i, true);
      if (point < 0x80) {
        ids[n++] = byteIds[point];
        continue;
      }
      if (point < 0x800) ids[n++] = byteIds[0xc0 | (point >> 6)];
      else {
        if ((point & 0xfc00) === 0xd800) {
          point = 0x10000 + ((point & 0x3ff) << 10) + (units.getUint16(2 * ++i, true) & 0x3ff);
          ids[n++] = byteIds[0xf0 | (point >> 18)];
          ids[n++] = byteIds[0x80 | ((point >> 12) & 0x3f)];
        } else ids[n++] = byteIds[0xe0 | (point >> 12)];
        ids[n++] = byteIds[0x80 | ((point >> 6) & 0x3f)];
      }
      ids[n++] = byteIds[0x80 | (point & 0x3f)];
    }
    return n;
  };
