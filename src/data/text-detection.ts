/** Tells text from other data by its bytes, as a file's name says little about it. */
import { decodeText, NotText, startDecoding, type DecodingOptions } from './decode-text.ts';
import { fileChunks } from './file-chunks.ts';

/** Why a file is not text: it has binary data, or text in an encoding other than the one that is read. */
export type NoText = 'binary' | 'encoding';

/** @returns undefined for a text that `decodeText` reads to its end with these options */
export function whyNoText(path: string, options: DecodingOptions): NoText | undefined {
  let isUtf16: boolean | undefined;
  let last: Uint8Array = new Uint8Array(0);
  const watched = function* (): Generator<Uint8Array> {
    for (const chunk of fileChunks(path)) {
      isUtf16 ??= hasUtf16Mark(chunk) || options.encoding?.startsWith('utf-16') === true;
      last = chunk;
      yield chunk;
    }
  };
  const decoding = startDecoding(path, options);
  try {
    for (const _ of decodeText(watched(), decoding))
      // With replacement characters, binary data could be read as well; otherwise the decoder refuses its first NUL.
      if (decoding.hasNul) return 'binary';
    return undefined;
  } catch (error) {
    if (!(error instanceof NotText)) throw error;
    return error.isBinary || (isUtf16 !== true && last.some(isControl)) ? 'binary' : 'encoding';
  }
}

/** In UTF-16 every Latin letter has a zero byte, which says nothing about a file. */
const hasUtf16Mark = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

/** NUL … BS and SO … SUB: text has none of them, binary data of more than a few hundred bytes nearly always does. */
const isControl = (byte: number): boolean => byte < 0x09 || (byte >= 0x0e && byte <= 0x1a);
