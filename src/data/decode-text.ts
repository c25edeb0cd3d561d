/** Bytes to text, in pieces: UTF-8 with or without a byte order mark, UTF-16 with one. */
import { UserError } from '../errors.ts';

export interface DecodingOptions {
  /** What becomes of bytes that are not text: an error that says where they are, or U+FFFD, the replacement character. */
  readonly encodingErrors: 'strict' | 'replace';
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/**
 * Decodes chunks of bytes that may be cut anywhere.
 *
 * @param name for error messages: the file
 * @throws UserError naming the byte offset of what is not text: an invalid sequence, or a NUL
 */
export function* decodeText(
  chunks: Iterable<Uint8Array>,
  name: string,
  { encodingErrors }: DecodingOptions,
): Generator<string> {
  let encoding: Encoding | undefined;
  let held = new Uint8Array(0); // bytes of a character that the next chunk completes
  let offset = 0; // of `held` in the file
  const decode = (bytes: Uint8Array): string => {
    if (encodingErrors === 'replace') return lenient(encoding!, bytes);
    const text = strict(encoding!, bytes, name, offset);
    // Bytes are searched many times faster than text is.
    const nul = encoding === 'utf-8' ? bytes.indexOf(0) : 2 * text.indexOf('\0');
    if (nul >= 0) throw binaryFile(name, offset + nul);
    return text;
  };
  for (const chunk of chunks) {
    let bytes: Uint8Array = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    if (encoding === undefined) {
      if (bytes.length < 3) {
        held = Uint8Array.from(bytes);
        continue;
      }
      const mark = byteOrderMark(bytes);
      encoding = mark.encoding;
      offset = mark.length;
      bytes = bytes.subarray(mark.length);
    }
    const end = completeLength(encoding, bytes);
    held = Uint8Array.from(bytes.subarray(end));
    if (end > 0) yield decode(bytes.subarray(0, end));
    offset += end;
  }
  if (encoding === undefined) {
    const mark = byteOrderMark(held);
    encoding = mark.encoding;
    offset = mark.length;
    held = held.subarray(mark.length);
  }
  if (held.length > 0) yield decode(held);
}

function byteOrderMark(bytes: Uint8Array): { encoding: Encoding; length: number } {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return { encoding: 'utf-8', length: 3 };
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { encoding: 'utf-16le', length: 2 };
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return { encoding: 'utf-16be', length: 2 };
  return { encoding: 'utf-8', length: 0 };
}

/** How many bytes hold whole characters: a cut character at the end waits for the next chunk. */
function completeLength(encoding: Encoding, bytes: Uint8Array): number {
  const n = bytes.length;
  if (encoding !== 'utf-8') {
    const even = n - (n % 2);
    if (even < 2) return even;
    const high = encoding === 'utf-16le' ? bytes[even - 1] : bytes[even - 2];
    return high >= 0xd8 && high < 0xdc ? even - 2 : even; // the first half of a pair
  }
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

const lenient = (encoding: Encoding, bytes: Uint8Array): string =>
  new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes).replaceAll('\0', '\ufffd');

function strict(encoding: Encoding, bytes: Uint8Array, name: string, offset: number): string {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const at = encoding === 'utf-8' ? firstInvalidUtf8(bytes) : firstLoneSurrogate(encoding, bytes);
    // No text has NULs, wherever they are: it is not a matter of its encoding then.
    const nul = encoding === 'utf-8' ? bytes.indexOf(0) : -1;
    if (nul >= 0) throw binaryFile(name, offset + nul);
    throw new UserError(`${name}: byte ${offset + at} is not valid ${encoding.toUpperCase()}`, {
      hint: 'convert the file (`iconv -f latin1 -t utf8`), or use --encoding-errors replace',
    });
  }
}

const binaryFile = (name: string, offset: number): UserError =>
  new UserError(`${name} is not a text file: byte ${offset} is NUL`, {
    hint: 'if it is UTF-16, save it with a byte order mark or as UTF-8; or use --encoding-errors replace',
  });

/** Where the first byte stands that starts no valid UTF-8 sequence (Unicode 16, table 3-7). */
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

function firstLoneSurrogate(encoding: Encoding, bytes: Uint8Array): number {
  const text = lenientUtf16(encoding, bytes);
  for (let i = 0; i < text.length; i++)
    if (!text[i].isWellFormed()) {
      if (text.slice(i, i + 2).isWellFormed() && text.length > i + 1) i++;
      else return 2 * i;
    }
  return 2 * text.length; // an odd byte at the end
}

/** UTF-16 with its lone surrogates left in. */
function lenientUtf16(encoding: Encoding, bytes: Uint8Array): string {
  const even = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 2)));
  return (encoding === 'utf-16be' ? even.swap16() : even).toString('utf16le');
}
