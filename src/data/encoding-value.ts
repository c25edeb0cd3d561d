/** Encodings, and what to do about bytes that do not fit one, as the values of options. */
import { closest } from '../suggest.ts';
import { choice, type Value } from '../values.ts';
import type { EncodingErrors } from './decode-text.ts';
import { canonicalEncoding, encodingHint, encodingNames, similarEncoding } from './encodings.ts';

/** The canonical name of an encoding, from any of its labels. */
export const encodingName: Value<string> = {
  expected: 'a known encoding',
  is: (value) => typeof value === 'string' && canonicalEncoding(value) === value,
  read: canonicalEncoding,
  get completes() {
    return encodingNames();
  },
  hint: (text) => encodingHint(text, similarEncoding(text) ?? closestName(text)),
};

export const encodingErrorsName: Value<EncodingErrors> = choice(['strict', 'replace']);

/** A mistyped name. Another number is another encoding: utf-32 is not utf-16. */
function closestName(text: string): string | undefined {
  const numberOf = (name: string): string => name.replaceAll(/\D/g, '');
  return closest(
    text,
    encodingNames().filter((name) => numberOf(name) === numberOf(text)),
  );
}
