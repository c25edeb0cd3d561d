/** Scripts that put no spaces between words, by the names of Unicode's Script property. */
const SCRIPTS = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar', 'Tibetan'] as const;

/**
 * The script in which most of a text is written, if it is one without spaces between words: cut at spaces, such a text falls
 * into clauses. Undefined for any other text.
 *
 * @param words the different words of the text
 */
export function unspacedScript(words: Iterable<string>): string | undefined {
  const counts = new Map<string, number>();
  let letters = 0;
  for (const word of words)
    for (const character of word) {
      if (!/\p{L}/u.test(character)) continue;
      letters++;
      // Most of what there is to read is ASCII, and none of these scripts is.
      const script = character < '\u0e00' ? undefined : SCRIPTS.find((_, i) => PATTERNS[i].test(character));
      if (script !== undefined) counts.set(script, (counts.get(script) ?? 0) + 1);
    }
  const sum = [...counts.values()].reduce((a, b) => a + b, 0);
  if (2 * sum <= letters) return undefined;
  return [...counts].sort(([, a], [, b]) => b - a)[0][0];
}

const PATTERNS = SCRIPTS.map((script) => new RegExp(`\\p{Script=${script}}`, 'u'));

/** A warning for a word tokenizer of a text without spaces between words; undefined for any other. */
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
