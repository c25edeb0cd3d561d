import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Warning for a new word tokenizer whose text has no spaces between words; undefined otherwise. */
export function unspacedNotice({
  unspacedScript: script,
  hasCharacterFallback = false,
}: Pick<Tokenizer, 'unspacedScript' | 'hasCharacterFallback'>): string | undefined {
  if (script === undefined) return undefined;
  const effect = `words are whole clauses${hasCharacterFallback ? ', and rare ones are spelled in characters' : ''}`;
  return `most of the text is in ${script} script, which has no spaces between words: ${effect}.\n  Use --tokenizer char, or bpe.`;
}
