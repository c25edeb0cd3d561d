/** Tells text from other data by its bytes, as a file's name says little about it. */
import { UserError } from '../errors.ts';
import { decodeText, type DecodingOptions } from './decode-text.ts';
import { fileChunks } from './file-chunks.ts';

/** Why a file is no text: it has binary data, or text in an encoding other than the one that is read. */
export type NoText = 'binary' | 'encoding';

/** @returns undefined for a text that `decodeText` reads to its end with these options */
export function whyNoText(path: string, options: DecodingOptions): NoText | undefined {
  let isUtf16: boolean | undefined;
  let last: Uint8Array = new Uint8Array(0);
  const checked = function* (): Generator<Uint8Array> {
    for (const chunk of fileChunks(path)) {
      isUtf16 ??= hasUtf16Mark(chunk);
      last = chunk;
      // With replacement characters, binary data could be read as well; otherwise the decoder refuses its first NUL.
      if (options.encodingErrors === 'replace' && !isUtf16 && chunk.includes(0))
        throw new UserError(`${path} is binary`);
      yield chunk;
    }
  };
  try {
    for (const _ of decodeText(checked(), path, options));
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return isUtf16 !== true && last.some(isControl) ? 'binary' : 'encoding';
  }
}

/** UTF-16 is read if it starts with a byte order mark. Its Latin letters have a zero byte each. */
const hasUtf16Mark = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

/** NUL … BS and SO … SUB: text has none of them, binary data of more than some hundred bytes nearly always does. */
const isControl = (byte: number): boolean => byte < 0x09 || (byte >= 0x0e && byte <= 0x1a);
