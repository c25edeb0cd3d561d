/** Statistics of `--encoding-errors replace`. */
import type { Corpus } from './corpus.ts';

/** How much of a text is U+FFFD in place of invalid bytes. */
export interface Replacements {
  /** The paths given: files, folders, or `-` for stdin. */
  readonly paths: readonly string[];
  /** Number of such U+FFFD. */
  readonly replaced: number;
  /** Total, in code points. */
  readonly characters: number;
}

/** The statistics of a corpus that has been read to its end. */
export const replacementsIn = ({ paths, facts: { replaced, characters } }: Corpus): Replacements => ({
  paths,
  replaced,
  characters,
});
