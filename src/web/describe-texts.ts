/** Describes the chosen texts on the page. */
import type { Text } from './messages.ts';
import { inFull } from './numbers.ts';

/** Nothing but ASCII spaces and line breaks. */
export const isBlank = (bytes: Uint8Array): boolean =>
  bytes.every((byte) => byte === 32 || (byte >= 9 && byte <= 13));

/** @returns the texts that are not blank, and a description of all */
export function describeTexts(found: readonly Text[]): [texts: readonly Text[], shown: string] {
  const filled = found.filter(({ bytes }) => !isBlank(bytes));
  const size = filled.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const together = filled.length > 1 ? ' together' : '';
  const sentences = [
    ...(filled.length === 0 ? [] : [`${namesOf(filled)}, ${inFull(size)} bytes${together}`]),
    ...found
      .filter((text) => !filled.includes(text))
      .map(({ name, bytes }) => `${name} ${bytes.length === 0 ? 'is empty' : 'contains only whitespace'}`),
  ];
  return [filled, `${sentences.join('. ')}.`];
}

/** `a.txt`, `a.txt and b.txt`, `a.txt, b.txt and c.txt`. */
export function namesOf(texts: readonly { readonly name: string }[]): string {
  const names = texts.map(({ name }) => name);
  const last = names.pop()!;
  return names.length === 0 ? last : `${names.join(', ')} and ${last}`;
}
