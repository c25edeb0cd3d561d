import { unspacedScript } from '../tokenizer/unspaced-scripts.ts';

/** Warning for a word tokenizer whose text has no spaces between words; undefined otherwise. */
export function unspacedNotice({
  kind,
  vocabulary,
}: {
  readonly kind: string;
  readonly vocabulary: readonly string[];
}): string | undefined {
  const script = kind === 'word' ? unspacedScript(vocabulary) : undefined;
  return script === undefined
    ? undefined
    : `most of the text is in ${script} script, which has no spaces between words: tokens are whole clauses.\n  Use --tokenizer char, or bpe.`;
}
