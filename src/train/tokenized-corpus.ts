/** The text to train on, as tokens and facts. */
import type { Corpus, CorpusFacts } from '../data/corpus.ts';
import type { Replacements } from '../data/replacements.ts';
import type { TokenSource } from '../data/token-source.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Growth } from './grow-vocabulary.ts';

export interface CorpusDescription
  extends
    Omit<CorpusFacts, 'characters' | 'replaced'>,
    Pick<Corpus, 'paths' | 'files' | 'leftOut' | 'documents'> {
  /** Unknown for a token file. */
  readonly characters: number | undefined;
}

/** A text as tokens, before it is split. */
export interface TokenizedCorpus {
  readonly corpus: CorpusDescription;
  readonly tokenizer: Tokenizer;
  readonly growth?: Growth | undefined;
  readonly ids: TokenSource;
  /** The token that ends documents, of a text that is divided into them. */
  readonly documentEnd?: number | undefined;
  readonly unknown: number;
  readonly replacements: readonly Replacements[];
  close(): void;
}

/** The result of a call; `opened` is closed if it throws. */
export function closingOnError<T>(opened: { close(): void }, call: () => T): T {
  try {
    return call();
  } catch (error) {
    opened.close();
    throw error;
  }
}
