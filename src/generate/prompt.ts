import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';
import { encode, type Tokenizer, type Unknown } from '../tokenizer/tokenizer.ts';

/** Handling of text outside the vocabulary: an error that names its first occurrence, omission, or `<unk>`. */
export const unkChoices = ['error', 'skip', 'replace'] as const;
export type Unk = (typeof unkChoices)[number];

/**
 * The ids of a prompt.
 *
 * @param place where the prompt is, for messages: ' in line 3'
 * @throws UserError for text outside the vocabulary if `unk` is 'error', or if nothing is left
 */
export function encodePrompt(
  tokenizer: Tokenizer,
  text: string,
  unk: Unk,
  place = '',
): { ids: Uint32Array; unknown: number } {
  let first: Unknown | undefined;
  const { unkId } = tokenizer;
  const unkText = unkId === undefined ? undefined : tokenizer.vocabulary[unkId];
  /** For each `<unk>`, whether it replaces unknown text; otherwise the prompt contains it literally. */
  const isUnknown: boolean[] = [];
  const onUnknown = (found: Unknown): void => {
    isUnknown.push(found.text !== unkText);
    if (found.text !== unkText) first ??= found;
  };
  // A token that some tokenizers put after each text would end the text that is to be continued.
  const all = encode(tokenizer, text, onUnknown, { isFirst: true, isLast: false });
  if (first !== undefined && unk === 'error')
    throw new UserError(
      'not-in-vocabulary',
      `the model's vocabulary lacks ${shownJson(first.text)}${codePoint(first.text)}, at position ${first.position + 1} of the prompt${place}`,
      { hint: `omit it, or use ${optionName('unk')} skip or replace` },
    );
  let seen = 0;
  const ids = unk === 'skip' ? all.filter((id) => id !== unkId || !isUnknown[seen++]) : all;
  if (ids.length === 0)
    throw new UserError('not-in-vocabulary', `the model's vocabulary has no token of the prompt${place}`, {
      hint: 'use another prompt',
    });
  return { ids, unknown: isUnknown.filter(Boolean).length };
}

/** ' (U+00E9)' after a single character, since many look alike or are invisible. */
function codePoint(text: string): string {
  if (Array.from(text).length !== 1) return '';
  return ` (U+${text.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')})`;
}

/**
 * The prompt where none is given: the token that starts texts, as in transformers' `generate()`; without one, a line break, as
 * after a paragraph; without that, the first token.
 */
export function startOfText(tokenizer: Tokenizer): { ids: Uint32Array; unknown: number } {
  const { special, unkId } = tokenizer;
  const lineBreak = encode(tokenizer, '\n', () => {}, { isFirst: false, isLast: false }).at(-1) ?? 0;
  return { ids: Uint32Array.of(special.startId ?? (lineBreak === unkId ? 0 : lineBreak)), unknown: 0 };
}
