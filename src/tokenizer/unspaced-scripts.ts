/** Scripts without spaces between words, by Unicode's Script property. */
const SCRIPTS = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar', 'Tibetan'] as const;

/**
 * The script of most of a text, if it is one without spaces between words, where splitting at spaces yields whole clauses;
 * undefined otherwise.
 *
 * @param words distinct words of the text
 */
export function unspacedScript(words: Iterable<string>): string | undefined {
  const counts = new Map<string, number>();
  let letters = 0;
  for (const word of words)
    for (const character of word) {
      if (!/\p{L}/u.test(character)) continue;
      letters++;
      // A quick check first: most text is ASCII, and none of these scripts is.
      const script = character < '\u0e00' ? undefined : SCRIPTS.find((_, i) => PATTERNS[i].test(character));
      if (script !== undefined) counts.set(script, (counts.get(script) ?? 0) + 1);
    }
  const sum = [...counts.values()].reduce((a, b) => a + b, 0);
  if (2 * sum <= letters) return undefined;
  return [...counts].sort(([, a], [, b]) => b - a)[0][0];
}

const PATTERNS = SCRIPTS.map((script) => new RegExp(`\\p{Script=${script}}`, 'u'));

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
