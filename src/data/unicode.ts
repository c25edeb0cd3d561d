/** Character boundaries and invalid bytes of UTF-8 and UTF-16, which `TextDecoder` does not report. */

export type UnicodeEncoding = 'utf-8' | 'utf-16le' | 'utf-16be';

export const isUnicode = (encoding: string): encoding is UnicodeEncoding => encoding.startsWith('utf-');

/** U+FFFD, the replacement for invalid bytes. */
export const REPLACEMENT = '\ufffd';

export interface UnicodeDecoder {
  /** Number of leading bytes that form whole characters; an incomplete one waits for the next chunk. */
  readonly completeLength: (bytes: Uint8Array) => number;
  /** Invalid bytes are an error if `fatal`, U+FFFD otherwise. */
  readonly decode: (bytes: Uint8Array, fatal: boolean) => string;
  /** Number of U+FFFD encoded in the bytes themselves. */
  readonly replacementsIn: (bytes: Uint8Array) => number;
  /** Offset of the first invalid byte. */
  readonly firstInvalid: (bytes: Uint8Array) => number;
  /** Offset of the first NUL, or −1. @param text undefined if the bytes are invalid */
  readonly nulAt: (bytes: Uint8Array, text: string | undefined) => number;
}

export function unicodeDecoder(encoding: UnicodeEncoding): UnicodeDecoder {
  const fatal = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  const lenient = new TextDecoder(encoding, { ignoreBOM: true });
  const decode = (bytes: Uint8Array, isFatal: boolean): string => (isFatal ? fatal : lenient).decode(bytes);
  if (encoding === 'utf-8')
    return {
      completeLength: completeUtf8,
      decode,
      replacementsIn: (bytes) => occurrences(viewOf(bytes), REPLACEMENT_UTF8),
      firstInvalid: firstInvalidUtf8,
      nulAt: (bytes) => bytes.indexOf(0), // many times faster than searching the text
    };
  return {
    completeLength: (bytes) => completeUtf16(encoding, bytes),
    decode,
    replacementsIn: (bytes) => occurrences(withLoneSurrogates(encoding, bytes), REPLACEMENT),
    firstInvalid: (bytes) => firstLoneSurrogate(encoding, bytes),
    nulAt: (bytes, text) => {
      const unit = (text ?? withLoneSurrogates(encoding, bytes)).indexOf('\0');
      return unit < 0 ? -1 : 2 * unit;
    },
  };
}

/** Number of occurrences of a part, without overlap. */
export function occurrences<T extends string | Buffer>(whole: T, part: T): number {
  const indexOf = (from: number): number => (whole as string).indexOf(part as string, from);
  let found = 0;
  for (let at = indexOf(0); at >= 0; at = indexOf(at + part.length)) found++;
  return found;
}

const REPLACEMENT_UTF8 = Buffer.from(REPLACEMENT);

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

function completeUtf8(bytes: Uint8Array): number {
  const n = bytes.length;
  for (let back = 1; back <= Math.min(3, n); back++) {
    const byte = bytes[n - back];
    if (byte < 0x80) return n;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? n - back : n;
    }
  }
  return n;
}

function completeUtf16(encoding: UnicodeEncoding, bytes: Uint8Array): number {
  const even = bytes.length - (bytes.length % 2);
  if (even < 2) return even;
  const high = encoding === 'utf-16le' ? bytes[even - 1] : bytes[even - 2];
  return high >= 0xd8 && high < 0xdc ? even - 2 : even; // high surrogate
}

/** Offset of the first byte that does not start a valid UTF-8 sequence (Unicode 16, table 3-7). */
function firstInvalidUtf8(bytes: Uint8Array): number {
  let i = 0;
  while (i < bytes.length) {
    const b = bytes[i];
    if (b < 0x80) {
      i++;
      continue;
    }
    const length = b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
    if (length === 0 || i + length > bytes.length) return i;
    const low = b === 0xe0 ? 0xa0 : b === 0xf0 ? 0x90 : 0x80;
    const high = b === 0xed ? 0x9f : b === 0xf4 ? 0x8f : 0xbf;
    if (bytes[i + 1] < low || bytes[i + 1] > high) return i;
    for (let k = 2; k < length; k++) if (bytes[i + k] < 0x80 || bytes[i + k] > 0xbf) return i;
    i += length;
  }
  return i;
}

function firstLoneSurrogate(encoding: UnicodeEncoding, bytes: Uint8Array): number {
  const text = withLoneSurrogates(encoding, bytes);
  for (let i = 0; i < text.length; i++)
    if (!text[i].isWellFormed()) {
      if (text.slice(i, i + 2).isWellFormed() && text.length > i + 1) i++;
      else return 2 * i;
    }
  return 2 * text.length; // an odd byte at the end
}

/** UTF-16 units of the bytes, including lone surrogates. */
function withLoneSurrogates(encoding: UnicodeEncoding, bytes: Uint8Array): string {
  const even = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)));
  return (encoding === 'utf-16be' ? even.swap16() : even).toString('utf16le');
}
