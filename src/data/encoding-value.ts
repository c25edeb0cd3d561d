/** Option values for encodings and for the treatment of invalid bytes. */
import { closest } from '../suggest.ts';
import { choice, type OptionType } from '../values.ts';
import type { EncodingErrors } from './decode-text.ts';
import { canonicalEncoding, encodingHint, encodingNames, similarEncoding } from './encodings.ts';

/** An encoding's canonical name, given any of its labels. */
export const encodingName: OptionType<string> = {
  expected: 'a known encoding',
  is: (value) => typeof value === 'string' && canonicalEncoding(value) === value,
  read: canonicalEncoding,
  get completes() {
    return encodingNames();
  },
  hint: (text) => encodingHint(text, similarEncoding(text) ?? closestName(text)),
};

export const encodingErrorsName: OptionType<EncodingErrors> = choice(['strict', 'replace']);

/** The likely intended name. Numbers must match, since utf-32 is not a misspelled utf-16. */
function closestName(text: string): string | undefined {
  const numberOf = (name: string): string => name.replaceAll(/\D/g, '');
  return closest(
    text,
    encodingNames().filter((name) => numberOf(name) === numberOf(text)),
  );
}

/** Help texts of `--encoding` and `--encoding-errors`. */
export const decodingHelp = {
  encoding: 'encoding of the text: latin1, shift_jis, utf-16le, …',
  encodingErrors: 'invalid bytes: strict (an error) or replace',
} as const;
