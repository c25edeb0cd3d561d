/** Tokenizes a corpus in memory. */
import { availableParallelism } from 'node:os';
import { ChatEncoder } from '../chat/chat-encoder.ts';
import { withChatml } from '../chat/chat-form.ts';
import { CHATML_TOKENS } from '../chat/chatml.ts';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { Tokenizer, Unknown, VocabularyBuilder } from '../tokenizer/tokenizer.ts';
import { endIdOf, type Corpus } from './corpus.ts';
import { CHAT } from './documents/format.ts';
import { encodeInParallel } from './parallel-encoding.ts';

/** 16 bits per id if the vocabulary allows, else 32. */
export type TokenIds = Uint16Array | Uint32Array;

export interface TokenizedCorpus {
  readonly ids: TokenIds;
  /** Number of tokens that are `<unk>`. */
  readonly unknown: number;
  /** Of conversations: 1 for tokens that count in the loss, 0 for others. */
  readonly counted?: Uint8Array | undefined;
}

/** Builds a vocabulary in one pass over a corpus. */
export function buildVocabulary(corpus: Corpus, builder: VocabularyBuilder): Tokenizer {
  if (corpus.documents === CHAT) {
    // A special token spelled out in a message is ordinary text, whose characters and words belong in the vocabulary.
    builder.push(corpus.endOfText);
    for (const { text, mark } of corpus.chats('collecting the vocabulary'))
      builder.push(text + corpus.endOfText, mark);
  } else for (const piece of corpus.text('collecting the vocabulary')) builder.push(piece);
  return builder.end((learned) => corpus.report('learning merges', learned));
}

/**
 * A new tokenizer for a corpus; for conversations, it gets the special tokens of ChatML.
 *
 * @param vocabulary starts a vocabulary with special tokens
 * @param own special tokens chosen by the user
 */
export function newTokenizer(
  corpus: Corpus,
  vocabulary: (specialTokens: readonly string[]) => VocabularyBuilder,
  own: readonly string[],
): Tokenizer {
  const isChat = corpus.documents === CHAT;
  const tokenizer = buildVocabulary(
    corpus,
    vocabulary([...new Set([...own, ...(isChat ? CHATML_TOKENS : [])])]),
  );
  return isChat ? withChatml(tokenizer) : tokenizer;
}

/** Streams the ids of a corpus; a large one is encoded on several threads. */
export const tokenIds = (
  corpus: Corpus,
  tokenizer: Tokenizer,
  threads = availableParallelism(),
): Generator<Uint32Array> => encodeInParallel(corpus.text('tokenizing'), tokenizer, { threads });

export function tokenizeCorpus(corpus: Corpus, tokenizer: Tokenizer, threads?: number): TokenizedCorpus {
  if (corpus.documents === CHAT) return tokenizeChats(corpus, tokenizer);
  const ids = idCollector(tokenizer);
  let unknown = 0;
  for (const piece of tokenIds(corpus, tokenizer, threads)) {
    ids.add(piece);
    for (const id of piece) if (id === tokenizer.unkId) unknown++;
  }
  return { ids: ids.all(), unknown };
}

/** Conversations between separators, which do not count. @param onUnknown called for each unknown token */
export function tokenizeChats(
  corpus: Corpus,
  tokenizer: Tokenizer,
  onUnknown: (unknown: Unknown) => void = () => {},
): TokenizedCorpus {
  const encoder = new ChatEncoder(tokenizer);
  const endId = endIdOf(corpus, tokenizer);
  const separator = Uint32Array.of(endId);
  const ids = idCollector(tokenizer);
  const counted: Uint8Array[] = [Uint8Array.of(0)];
  let unknown = 0;
  ids.add(separator);
  for (const text of corpus.chats('tokenizing')) {
    const chat = encoder.encode(text, (found) => {
      unknown++;
      onUnknown(found);
    });
    if (chat.ids.includes(endId)) refuseSeparator(corpus);
    ids.add(chat.ids);
    ids.add(separator);
    counted.push(chat.counted, Uint8Array.of(0));
  }
  return { ids: ids.all(), unknown, counted: new Uint8Array(Buffer.concat(counted)) };
}

/** A template may write this token only in certain conversations, so it is checked in each. */
function refuseSeparator({ endOfText }: Corpus): never {
  throw new UserError(
    'bad-template',
    `the chat template writes ${shownJson(endOfText)} within a conversation, the token that separates conversations`,
    { hint: 'use a template or a model with another special token' },
  );
}

/** Collects ids, with 16 bits each if the vocabulary allows. */
function idCollector({ vocabSize }: Tokenizer): { add(ids: Uint32Array): void; all(): TokenIds } {
  const small = vocabSize <= 2 ** 16;
  let ids: TokenIds = small ? new Uint16Array(1 << 16) : new Uint32Array(1 << 16);
  let length = 0;
  return {
    add(piece) {
      if (length + piece.length > ids.length) {
        const larger = Math.max(2 * ids.length, length + piece.length);
        const grown: TokenIds = small ? new Uint16Array(larger) : new Uint32Array(larger);
        grown.set(ids);
        ids = grown;
      }
      ids.set(piece, length);
      length += piece.length;
    },
    all: () => ids.slice(0, length),
  };
}
