/**
 * GPT-2's way to write bytes as text (Radford et al. 2019, `bytes_to_unicode` in their code): each of the 256 bytes has a
 * visible character, so that tokens can stand in JSON and in lists. A byte that is a visible character of Latin-1 is that
 * character; the others, in order, are U+0100, U+0101, …: the space is Ġ, the line feed Ċ.
 */
const isVisible = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const allBytes = Array.from({ length: 256 }, (_, byte) => byte);
const hidden = allBytes.filter((byte) => !isVisible(byte));

/** The character of each byte. */
const characterOf = allBytes.map((byte) =>
  String.fromCharCode(isVisible(byte) ? byte : 0x100 + hidden.indexOf(byte)),
);

/** The characters of all bytes in the order of GPT-2's ids 0 … 255: by code point. */
export const byteAlphabet: readonly string[] = characterOf.toSorted();

/** The byte of each code point, or −1. */
const byteOf = new Int16Array(0x100 + hidden.length).fill(-1);
characterOf.forEach((character, byte) => (byteOf[character.charCodeAt(0)] = byte));

/** The byte that a token stands for, or undefined if it does not stand for a single one. */
export function byteOfToken(token: string): number | undefined {
  const byte = token.length === 1 ? byteOf[token.charCodeAt(0)] : undefined;
  return byte === -1 ? undefined : byte;
}

/** The bytes of a token that is written in this alphabet, or undefined if it is not. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOf[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
