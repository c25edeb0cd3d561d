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
