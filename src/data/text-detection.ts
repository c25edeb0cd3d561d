/** Distinguishes text from binary data by content, since extensions say little. */
import { decodeText, NotText, startDecoding, type DecodingOptions } from './decode-text.ts';
import { fileChunks } from './file-chunks.ts';

/** Why a file is not text: it is binary, or text in another encoding. */
export type NoText = 'binary' | 'encoding';

/** @returns undefined for a file that decodes to its end with these options */
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
      // With replacement characters binary data would decode too; without them the decoder rejects the first NUL.
      if (decoding.hasNul) return 'binary';
    return undefined;
  } catch (error) {
    if (!(error instanceof NotText)) throw error;
    return error.isBinary || (isUtf16 !== true && last.some(isControl)) ? 'binary' : 'encoding';
  }
}

/** In UTF-16 every Latin letter contains a zero byte, so NULs are no evidence of binary data. */
const hasUtf16Mark = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

/** NUL … BS and SO … SUB, which do not occur in text and nearly always in binary data of a few hundred bytes. */
const isControl = (byte: number): boolean => byte < 0x09 || (byte >= 0x0e && byte <= 0x1a);
