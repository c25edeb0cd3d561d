/** What `--encoding-errors replace` has done to a text. */
import type { Corpus } from './corpus.ts';

/** How much of a text is U+FFFD in place of bytes that are not text. */
export interface Replacements {
  /** What was named: files, folders, or `-` for stdin. */
  readonly paths: readonly string[];
  /** How many characters are such a U+FFFD. */
  readonly replaced: number;
  /** Of the whole text, in Unicode code points. */
  readonly characters: number;
}

/** Those of a corpus that has been read to its end. */
export const replacementsIn = ({ paths, facts: { replaced, characters } }: Corpus): Replacements => ({
  paths,
  replaced,
  characters,
});
