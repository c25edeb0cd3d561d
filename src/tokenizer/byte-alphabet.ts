/**
 * GPT-2's byte alphabet (Radford et al. 2019, `bytes_to_unicode` in their code): a visible character for each of the 256
 * bytes, so that tokens can be written in JSON. Visible Latin-1 characters stand for themselves; the other bytes are
 * U+0100, U+0101, … in order, so space is Ġ and line feed Ċ.
 */
const isVisible = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const allBytes = Array.from({ length: 256 }, (_, byte) => byte);
const hidden = allBytes.filter((byte) => !isVisible(byte));

/** By byte. */
const characterOf = allBytes.map((byte) =>
  String.fromCharCode(isVisible(byte) ? byte : 0x100 + hidden.indexOf(byte)),
);

/** Characters in the order of GPT-2's ids 0 … 255, which is by code point. */
export const byteAlphabet: readonly string[] = characterOf.toSorted();

/** Byte by code point, or −1. */
const byteOf = new Int16Array(0x100 + hidden.length).fill(-1);
characterOf.forEach((character, byte) => (byteOf[character.charCodeAt(0)] = byte));

/** The byte a token stands for, or undefined if it is not a single one. */
export function byteOfToken(token: string): number | undefined {
  const byte = token.length === 1 ? byteOf[token.charCodeAt(0)] : undefined;
  return byte === -1 ? undefined : byte;
}

/** The bytes of a token written in the byte alphabet, or undefined if it is not. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOf[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** Bytes written in the byte alphabet. */
export const tokenOfBytes = (bytes: Iterable<number>): string =>
  Array.from(bytes, (byte) => characterOf[byte]).join('');
