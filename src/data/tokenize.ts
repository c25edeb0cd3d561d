/** Corpus to token ids in memory, and what was found on the way. */
import { availableParallelism } from 'node:os';
import type { Tokenizer, VocabularyBuilder } from '../tokenizer/tokenizer.ts';
import type { Corpus } from './corpus.ts';
import { encodeInParallel } from './parallel-encoding.ts';

/** Token ids: 16 bits each where the vocabulary allows, else 32. */
export type TokenIds = Uint16Array | Uint32Array;

export interface TokenizedCorpus {
  readonly ids: TokenIds;
  /** How many tokens are `<unk>`. */
  readonly unknown: number;
}

/** One pass over a corpus that collects its vocabulary. */
export function buildVocabulary(corpus: Corpus, builder: VocabularyBuilder): Tokenizer {
  for (const piece of corpus.text('collecting the vocabulary')) builder.push(piece);
  return builder.end((learned) => corpus.report('learning merges', learned));
}

/** The ids of a corpus, as they come: for what need not hold them all. A large one is encoded by several threads. */
export const tokenIds = (
  corpus: Corpus,
  tokenizer: Tokenizer,
  threads = availableParallelism(),
): Generator<Uint32Array> => encodeInParallel(corpus.text('tokenizing'), tokenizer, { threads });

/** All ids of a corpus. */
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
