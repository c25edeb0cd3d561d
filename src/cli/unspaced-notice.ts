import { unspacedScript } from '../tokenizer/unspaced-scripts.ts';

/** Warning for a word tokenizer whose text has no spaces between words; undefined otherwise. */
export function unspacedNotice({
  kind,
  vocabulary,
  spells = false,
}: {
  readonly kind: string;
  readonly vocabulary: readonly string[];
  readonly spells?: boolean;
}): string | undefined {
  const script = kind === 'word' ? unspacedScript(vocabulary) : undefined;
  if (script === undefined) return undefined;
  const effect = spells ? 'most of it is spelled in characters' : 'tokens are whole clauses';
  return `most of the text is in ${script} script, which has no spaces between words: ${effect}.\n  Use --tokenizer char, or bpe.`;
}
