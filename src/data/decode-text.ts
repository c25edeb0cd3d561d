/** Streaming decoder for UTF-8, UTF-16 with a byte order mark, and encodings that the user names. */
import { UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { isMultibyte, UTF8 } from './encodings.ts';
import { isTokenFile } from './token-file.ts';
import { isUnicode, occurrences, REPLACEMENT, unicodeDecoder, type UnicodeEncoding } from './unicode.ts';

export type EncodingErrors = 'strict' | 'replace';

/** Hints mention the flag of an option only where the option is given, because not every command has these flags. */
export interface DecodingOptions {
  /** Canonical name of the encoding; default UTF-8. A byte order mark takes precedence, as in browsers. */
  readonly encoding?: string | undefined;
  /** Invalid bytes are an error that gives their position (default), or become U+FFFD. */
  readonly encodingErrors?: EncodingErrors | undefined;
}

/** Fills in the defaults, UTF-8 and strict, for commands and functions that have both options; hints may then name them. */
export const decodingOf = ({
  encoding = UTF8,
  encodingErrors = 'strict',
}: DecodingOptions): DecodingOptions => ({
  encoding,
  encodingErrors,
});

/** Bytes that are invalid in the encoding they are read in. */
export class NotText extends UserError {
  /** The invalid byte is a NUL, which no text contains. */
  readonly isBinary: boolean;
  constructor(message: string, { isBinary, hint }: { isBinary: boolean; hint: string }) {
    super('not-text', message, { hint });
    this.isBinary = isBinary;
  }
}

/** Decodes one text in chunks of any size. */
export interface TextDecoding {
  /** Returns the characters that are complete. @throws NotText */
  push(bytes: Uint8Array): string;
  /** Returns the rest. @throws NotText */
  end(): string;
  /** Number of U+FFFD in place of invalid bytes. */
  readonly replaced: number;
  /** One of the invalid bytes is a NUL: the data is binary. */
  readonly hasNul: boolean;
}

/** @param name of the file, for messages */
export function startDecoding(name: string, options: DecodingOptions = {}): TextDecoding {
  let decoding: TextDecoding | undefined;
  let held: Uint8Array = new Uint8Array(0); // a possible start of a byte order mark
  const start = (bytes: Uint8Array): string => {
    const mark = byteOrderMark(bytes);
    const encoding = mark?.encoding ?? options.encoding ?? UTF8;
    const length = mark?.bytes.length ?? 0;
    decoding = isUnicode(encoding)
      ? unicodeDecoding(encoding, name, length, options)
      : legacyDecoding(encoding, name, options);
    return decoding.push(bytes.subarray(length));
  };
  return {
    push(bytes) {
      if (decoding !== undefined) return decoding.push(bytes);
      const all = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      if (!mayBecomeMark(all)) return start(all);
      held = Uint8Array.from(all);
      return '';
    },
    end() {
      const text = decoding === undefined ? start(held) : '';
      return text + decoding!.end();
    },
    get replaced() {
      return decoding?.replaced ?? 0;
    },
    get hasNul() {
      return decoding?.hasNul ?? false;
    },
  };
}

/** Decodes chunks of bytes. @throws NotText */
export function* decodeText(chunks: Iterable<Uint8Array>, decoding: TextDecoding): Generator<string> {
  for (const chunk of chunks) {
    const text = decoding.push(chunk);
    if (text !== '') yield text;
  }
  const rest = decoding.end();
  if (rest !== '') yield rest;
}

const MARKS: readonly { readonly encoding: UnicodeEncoding; readonly bytes: readonly number[] }[] = [
  { encoding: 'utf-8', bytes: [0xef, 0xbb, 0xbf] },
  { encoding: 'utf-16le', bytes: [0xff, 0xfe] },
  { encoding: 'utf-16be', bytes: [0xfe, 0xff] },
];

const byteOrderMark = (text: Uint8Array): (typeof MARKS)[number] | undefined =>
  MARKS.find(({ bytes }) => bytes.every((byte, i) => byte === text[i]));

/** These bytes are a proper prefix of a byte order mark. */
const mayBecomeMark = (text: Uint8Array): boolean =>
  MARKS.some(({ bytes }) => text.length < bytes.length && text.every((byte, i) => byte === bytes[i]));

/** @param start offset of the first byte after the byte order mark */
function unicodeDecoding(
  encoding: UnicodeEncoding,
  name: string,
  start: number,
  options: DecodingOptions,
): TextDecoding {
  const { completeLength, decode, replacementsIn, firstInvalid, nulAt } = unicodeDecoder(encoding);
  let held: Uint8Array = new Uint8Array(0); // an incomplete character at the end of the last chunk
  let offset = start; // of `held` in the file
  let replaced = 0;
  let hasNul = false;
  const lenient = (bytes: Uint8Array): string => {
    const decoded = decode(bytes, false);
    const text = decoded.replaceAll('\0', REPLACEMENT);
    hasNul ||= text !== decoded;
    if (text.includes(REPLACEMENT)) replaced += occurrences(text, REPLACEMENT) - replacementsIn(bytes);
    return text;
  };
  const strict = (bytes: Uint8Array): string => {
    let text: string | undefined;
    try {
      text = decode(bytes, true);
    } catch {
      // A NUL anywhere explains the error best.
    }
    const nul = nulAt(bytes, text);
    if (nul >= 0) throw binaryFile(name, offset + nul, bytes, options);
    if (text !== undefined) return text;
    const at = offset + firstInvalid(bytes);
    throw notInEncoding(`${name}: byte ${at} is not valid ${encoding.toUpperCase()}`, options);
  };
  const decodeAll = options.encodingErrors === 'replace' ? lenient : strict;
  return {
    push(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const end = completeLength(bytes);
      held = Uint8Array.from(bytes.subarray(end));
      const text = end > 0 ? decodeAll(bytes.subarray(0, end)) : '';
      offset += end;
      return text;
    },
    end: () => (held.length > 0 ? decodeAll(held) : ''),
    get replaced() {
      return replaced;
    },
    get hasNul() {
      return hasNul;
    },
  };
}

/**
 * Legacy encodings. `TextDecoder` keeps its state between chunks and writes U+FFFD for invalid bytes. Only GB 18030 can
 * encode U+FFFD itself; it is a trace of an earlier loss and counted as one.
 */
function legacyDecoding(encoding: string, name: string, options: DecodingOptions): TextDecoding {
  const decoder = new TextDecoder(encoding);
  let offset = 0; // of the next chunk, in bytes
  let lines = 1; // up to `offset`
  let replaced = 0;
  let hasNul = false;
  const lenient = (decoded: string): string => {
    const text = decoded.replaceAll('\0', REPLACEMENT);
    hasNul ||= text !== decoded;
    replaced += occurrences(text, REPLACEMENT);
    return text;
  };
  const strict = (text: string, bytes: Uint8Array): string => {
    const nul = bytes.indexOf(0);
    if (nul >= 0) throw binaryFile(name, offset + nul, bytes, options);
    const invalid = text.indexOf(REPLACEMENT);
    if (invalid >= 0) {
      // Only single-byte encodings map a position in the text to one in the file.
      const place = isMultibyte(encoding)
        ? `line ${lines + occurrences(text.slice(0, invalid), '\n')} has bytes that are`
        : `byte ${offset + invalid} is`;
      throw notInEncoding(`${name}: ${place} not valid ${encoding}`, options);
    }
    offset += bytes.length;
    lines += isMultibyte(encoding) ? occurrences(text, '\n') : 0;
    return text;
  };
  const checked = options.encodingErrors === 'replace' ? lenient : strict;
  return {
    // Streaming even the last call: without `stream`, Node 20 reads windows-1252 as ISO 8859-1, so 0x80 would not be €.
    push: (bytes) => checked(decoder.decode(bytes, { stream: true }), bytes),
    end: () => checked(decoder.decode(), new Uint8Array(0)),
    get replaced() {
      return replaced;
    },
    get hasNul() {
      return hasNul;
    },
  };
}

const notInEncoding = (message: string, { encoding, encodingErrors }: DecodingOptions): NotText => {
  const ways = [
    encoding === undefined
      ? 'convert the text to UTF-8 (`iconv -f latin1 -t utf-8`)'
      : `specify the encoding of the text, such as ${optionName('encoding')} latin1`,
    ...(encodingErrors === undefined ? [] : [`use ${optionName('encodingErrors')} replace`]),
  ];
  return new NotText(message, { isBinary: false, hint: ways.join(', or ') });
};

/** @param chunk of the file that has the NUL at `offset` */
function binaryFile(
  name: string,
  offset: number,
  chunk: Uint8Array,
  { encoding, encodingErrors }: DecodingOptions,
): NotText {
  if (isTokenFile(chunk))
    return new NotText(`${name} is a token file, not a text`, {
      isBinary: true,
      hint: 'pass the text it was made from; only training reads token ids',
    });
  const ways = [
    encoding === undefined
      ? 'if it is UTF-16, save it with a byte order mark or as UTF-8'
      : encoding.startsWith('utf-16')
        ? 'check that the text is in this encoding'
        : `if it is UTF-16 without a byte order mark, specify it with ${optionName('encoding')} utf-16le`,
    ...(encodingErrors === undefined ? [] : [`use ${optionName('encodingErrors')} replace`]),
  ];
  return new NotText(`${name} is not a text file: byte ${offset} is NUL`, {
    isBinary: true,
    hint: ways.join('; or '),
  });
}
