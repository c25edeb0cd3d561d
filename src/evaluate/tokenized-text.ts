/** A text as tokens, with the spelling of unknown ones, which their ids do not preserve. */
import { endIdOf, type Corpus } from '../data/corpus.ts';
import { CHAT } from '../data/documents/format.ts';
import { inMemory, type TokenSource } from '../data/token-source.ts';
import { tokenizeChats, tokenizeCorpus, type TokenIds } from '../data/tokenize.ts';
import { shuffledDocuments, shuffledIds } from '../data/documents/order.ts';
import { decodeContinuation, type Tokenizer } from '../tokenizer/tokenizer.ts';

export interface TokenizedText {
  readonly tokenizer: Tokenizer;
  readonly ids: TokenIds;
  /** The text of each `<unk>`, in order. */
  readonly unknown: readonly string[];
  /** The token that ends a document, in a text that is divided into documents. It stands for no text. */
  readonly endId?: number | undefined;
  /** Of conversations: 1 for tokens that count in the loss, 0 for others. */
  readonly counted?: Uint8Array | undefined;
}

/** Reads a corpus, with its documents in the order in which runs train on them; twice if it has unknown tokens. */
export function readTokenizedText(corpus: Corpus, tokenizer: Tokenizer): TokenizedText {
  const text = readInOrder(corpus, tokenizer);
  if (corpus.documents === 'whole') return text;
  const endId = endIdOf(corpus, tokenizer);
  if (endId < 0) throw new Error('the tokenizer has no token that ends a document');
  return withDocumentsShuffled({ ...text, endId });
}

function withDocumentsShuffled(text: TokenizedText & { readonly endId: number }): TokenizedText {
  const { ids, counted } = shuffledIds(text);
  if (text.unknown.length === 0) return { ...text, ids, counted };
  // The spellings follow their documents.
  const found: number[] = []; // index of each <unk>
  text.ids.forEach((id, i) => id === text.tokenizer.unkId && found.push(i));
  const firstFrom = (at: number): number => {
    const next = found.findIndex((index) => index >= at);
    return next < 0 ? found.length : next;
  };
  const unknown = shuffledDocuments(text).flatMap(({ start, end }) =>
    text.unknown.slice(firstFrom(start), firstFrom(end)),
  );
  return { ...text, ids, counted, unknown };
}

function readInOrder(corpus: Corpus, tokenizer: Tokenizer): TokenizedText {
  const unknown: string[] = [];
  if (corpus.documents === CHAT) {
    const { ids, counted } = tokenizeChats(corpus, tokenizer, ({ text }) => unknown.push(text));
    return { tokenizer, ids, counted, unknown };
  }
  const { ids, unknown: count } = tokenizeCorpus(corpus, tokenizer);
  if (count > 0) {
    const encoder = tokenizer.encoder(({ text }) => unknown.push(text));
    for (const piece of corpus.text('reading unknown tokens')) encoder.push(piece);
    encoder.end();
  }
  return { tokenizer, ids, unknown };
}

/** Only the ids. */
export const sourceOf = ({ ids }: TokenizedText): TokenSource => inMemory(ids);

/** Tokens `from` to `to` (exclusive); the ids are a view. */
export function partOfText(text: TokenizedText, from: number, to: number): TokenizedText {
  const { tokenizer, ids, unknown } = text;
  const count = (start: number, end: number): number => {
    let found = 0;
    if (unknown.length > 0) for (let i = start; i < end; i++) if (ids[i] === tokenizer.unkId) found++;
    return found;
  };
  const before = count(0, from);
  return {
    ...text,
    ids: ids.subarray(from, to),
    counted: text.counted?.subarray(from, to),
    unknown: unknown.slice(before, before + count(from, to)),
  };
}

/**
 * The tokens whose text is predicted: all but the first. In conversations, those that count, without special tokens, which
 * stand for no text.
 */
export function predictedPart(text: TokenizedText): TokenizedText {
  const { tokenizer, ids, counted, unknown } = text;
  if (counted === undefined) return partOfText(text, 1, ids.length);
  const special = new Set(tokenizer.specialIds);
  const isText = (id: number, i: number): boolean =>
    counted[i] === 1 && (id === tokenizer.unkId || !special.has(id));
  let spelled = 0;
  const spellings = Array.from(ids, (id) => (id === tokenizer.unkId ? unknown[spelled++] : undefined));
  return {
    ...text,
    ids: ids.filter(isText),
    unknown: spellings.filter((spelling, i) => spelling !== undefined && isText(ids[i], i)) as string[],
  };
}

/** The original text, including unknown tokens; documents follow each other without a separator. */
export function textOf({ tokenizer, ids: all, unknown, endId }: TokenizedText): string {
  const ids = endId === undefined ? all : all.filter((id) => id !== endId);
  let text = '';
  let start = 0;
  const decode = (end?: number): string =>
    start === 0
      ? tokenizer.decode(ids.subarray(0, end))
      : decodeContinuation(tokenizer, ids.subarray(start, end));
  for (const spelling of unknown) {
    const at = ids.indexOf(tokenizer.unkId!, start);
    text += decode(at) + spelling;
    start = at + 1;
  }
  return text + decode();
}

/**
 * The text of each token; they concatenate to the original text. If a character is split between tokens, the last of them
 * has it and the others are empty.
 */
export function* tokenTexts({ tokenizer, ids, unknown }: TokenizedText): Generator<string> {
  const decoder = tokenizer.decoder();
  let spelled = 0;
  for (const id of ids) yield id === tokenizer.unkId ? unknown[spelled++] : decoder.push([id]);
}
