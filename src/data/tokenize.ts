/** Tokenizes a corpus in memory. */
import { availableParallelism } from 'node:os';
import type { Tokenizer, VocabularyBuilder } from '../tokenizer/tokenizer.ts';
import type { Corpus } from './corpus.ts';
import { encodeInParallel } from './parallel-encoding.ts';

/** 16 bits per id if the vocabulary allows, else 32. */
export type TokenIds = Uint16Array | Uint32Array;

export interface TokenizedCorpus {
  readonly ids: TokenIds;
  /** Number of tokens that are `<unk>`. */
  readonly unknown: number;
}

/** Builds a vocabulary in one pass over a corpus. */
export function buildVocabulary(corpus: Corpus, builder: VocabularyBuilder): Tokenizer {
  for (const piece of corpus.text('collecting the vocabulary')) builder.push(piece);
  return builder.end((learned) => corpus.report('learning merges', learned));
}

/** Streams the ids of a corpus; a large one is encoded on several threads. */
export const tokenIds = (
  corpus: Corpus,
  tokenizer: Tokenizer,
  threads = availableParallelism(),
): Generator<Uint32Array> => encodeInParallel(corpus.text('tokenizing'), tokenizer, { threads });

export function tokenizeCorpus(corpus: Corpus, tokenizer: Tokenizer, threads?: number): TokenizedCorpus {
  const small = tokenizer.vocabSize <= 2 ** 16;
  let ids: TokenIds = small ? new Uint16Array(1 << 16) : new Uint32Array(1 << 16);
  let length = 0;
  let unknown = 0;
  for (const piece of tokenIds(corpus, tokenizer, threads)) {
    if (length + piece.length > ids.length) {
      const larger = Math.max(2 * ids.length, length + piece.length);
      const grown: TokenIds = small ? new Uint16Array(larger) : new Uint32Array(larger);
      grown.set(ids);
      ids = grown;
    }
    ids.set(piece, length);
    length += piece.length;
    for (const id of piece) if (id === tokenizer.unkId) unknown++;
  }
  return { ids: ids.slice(0, length), unknown };
}
