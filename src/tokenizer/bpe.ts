/**
 * Byte-level BPE, GPT-2's tokenizer (Radford et al. 2019, section 2.2). Text is pre-tokenized into words, numbers,
 * punctuation and white space (gpt2-pieces.ts); each piece starts as its UTF-8 bytes, and pairs of tokens are merged in the
 * order in which they were learned (bpe-merging.ts, bpe-learning.ts). All 256 bytes are tokens, so any text can be encoded
 * and decodes to itself; there is no `<unk>`.
 *
 * A literal `<|endoftext|>` in a text is that token, as in Hugging Face's tokenizers, so a corpus can separate its
 * documents. It decodes to the same thirteen characters.
 */
import { parseJsonObject } from '../json.ts';
import { UsageError } from '../errors.ts';
import { addedEncoding } from './added-tokens.ts';
import {
  bpeJson,
  END_OF_TEXT,
  endOfTextRoles,
  readBpe,
  readVocabAndMerges,
  type BpeModel,
} from './bpe-json.ts';
import { learnMerges, type Words } from './bpe-learning.ts';
import { PieceEncoder } from './bpe-merging.ts';
import { byteAlphabet, byteOfToken, bytesOfToken } from './byte-alphabet.ts';
import { gpt2Starts } from './gpt2-pieces.ts';
import { PieceCache } from './piece-cache.ts';
import { PieceCounter, pieceCutter } from './pieces.ts';
import { cutAround, encoderAround, specialTokenSplitter, type OrdinaryEncoder } from './special-tokens.ts';
import { refuse, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { noSettings, specialTokensOf, type TokenizerSettings } from './tokenizer-settings.ts';
import type { TokenDecoder, Tokenizer, VocabularyBuilder, VocabularyOptions } from './tokenizer.ts';

export { isBpeJson } from './bpe-json.ts';

/** Default vocabulary size, enough for a book. */
const DEFAULT_SIZE = 1024;

function createBpeTokenizer(model: BpeModel): Tokenizer {
  const { tokens, merges, added, special, addPrefixSpace, firstId } = model;
  const bytes = tokens.map((token, id) => (added.has(id) ? Buffer.from(token) : bytesOfToken(token)!));
  const decoder = (): TokenDecoder => bytesDecoder(bytes);
  const decode = (ids: Iterable<number>): string => {
    const text = decoder();
    return text.push(ids) + text.end();
  };
  const pieces = new PieceCache(new PieceEncoder(idsOfBytes(model), merges));
  const { ids, secondPass } = addedEncoding(tokens, added);
  return {
    kind: 'bpe',
    vocabSize: tokens.length,
    unkId: undefined,
    special,
    vocabulary: bytes.map((each) => Buffer.from(each).toString()),
    encoder: () => encoderAround(() => bpeEncoder(pieces), { ids, secondPass, firstId, addPrefixSpace }),
    // Parts of a text are encoded in parallel. Each would get the first token or space that only the whole text gets.
    cut: firstId !== undefined || addPrefixSpace ? () => 0 : cutAround(ids),
    decode,
    decoder,
    byteLength: (id) => bytes[id]?.length ?? 0,
    toJSON: () => bpeJson(model),
  };
}

/** The id of each byte value: GPT-2's vocabulary is not in byte order. */
function idsOfBytes({ tokens, added }: BpeModel): Int32Array {
  const ids = new Int32Array(256);
  tokens.forEach((token, id) => {
    const byte = added.has(id) ? undefined : byteOfToken(token);
    if (byte !== undefined) ids[byte] = id;
  });
  return ids;
}

/** Decodes UTF-8 in chunks; a character whose bytes belong to several tokens appears with the last of them. */
function bytesDecoder(bytes: readonly Uint8Array[]): TokenDecoder {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true }); // keep a U+FEFF, which belongs to the text
  const none = new Uint8Array(0);
  return {
    push: (ids) =>
      decoder.decode(Buffer.concat(Array.from(ids, (id) => bytes[id] ?? none)), { stream: true }),
    end: () => decoder.decode(),
  };
}

/** Encodes the text between special tokens: cuts it into pieces and looks up the tokens of each. */
function bpeEncoder(pieces: PieceCache): OrdinaryEncoder {
  const cut = pieceCutter(gpt2Starts);
  let ids = new Uint32Array(0);
  return {
    position: 0, // not needed: no text is unknown
    encode(text, final) {
      const { units, starts, count } = cut(text, final);
      const most = 3 * starts[count]; // a UTF-16 unit has at most three bytes, and a byte is at least one token
      if (most > ids.length) ids = new Uint32Array(2 * most);
      let length = 0;
      for (let i = 0; i < count; i++) length = pieces.encode(units, starts[i], starts[i + 1], ids, length);
      return ids.slice(0, length);
    },
  };
}

/**
 * Ids are laid out as in GPT-2: the 256 bytes in the order of the byte alphabet, then the merges, then `<|endoftext|>`.
 *
 * @throws UsageError if `maxSize` is below 257
 */
export function bpeVocabulary({
  minFrequency,
  maxSize = DEFAULT_SIZE,
}: VocabularyOptions): VocabularyBuilder {
  const most = maxSize - 1;
  if (most < byteAlphabet.length)
    throw new UsageError('bad-option-value', `a bpe vocabulary of ${maxSize} tokens is too small`, {
      hint: 'use at least 257: the 256 bytes and <|endoftext|>',
    });
  const split = specialTokenSplitter([END_OF_TEXT]);
  const counter = new PieceCounter(gpt2Starts);
  const count = (text: string, final: boolean): void => {
    for (const { text: stretch, special } of split(text, final))
      counter.push(stretch, final || special !== undefined);
  };
  return {
    push: (text) => count(text, false),
    end(learned) {
      count('', true);
      const tokens = [...byteAlphabet];
      const merges = learnMerges(wordsOf(counter), tokens, { maxSize: most, minFrequency, learned });
      const all = [...tokens, END_OF_TEXT];
      return createBpeTokenizer({
        tokens: all,
        merges,
        added: new Map([[tokens.length, { special: true, normalized: false }]]),
        special: specialTokensOf({ roles: endOfTextRoles, extra: [] }, all, undefined),
        addPrefixSpace: false,
        firstId: undefined,
      });
    },
  };
}

/**
 * Reads GPT-2's older format: vocab.json holds the ids, merges.txt one merge per line.
 *
 * @param settings from the other files of the folder
 */
export function bpeFromVocabAndMerges(
  vocab: TextFile,
  merges: TextFile,
  settings: TokenizerSettings = noSettings,
): Tokenizer {
  const fail = refuse(vocab.file);
  const json = parseJsonObject(vocab.text, fail);
  return createBpeTokenizer(readVocabAndMerges(json, merges.text, settings, fail, refuse(merges.file)));
}

interface TextFile {
  readonly file: string;
  readonly text: string;
}

export const bpeFromJson = (json: JsonObject, fail: Refuse, settings: TokenizerSettings): Tokenizer =>
  createBpeTokenizer(readBpe(json, fail, settings));

/** The counted pieces as byte tokens. */
function wordsOf({ table, counts }: PieceCounter): Words {
  const idOf = new Uint8Array(256);
  byteAlphabet.forEach((character, id) => (idOf[byteOfToken(character)!] = id));
  const texts = counts.map((_, piece) => Buffer.from(table.text(piece)));
  const starts = new Uint32Array(texts.length + 1);
  texts.forEach((text, w) => (starts[w + 1] = starts[w] + text.length));
  const ids = Int32Array.from(Buffer.concat(texts), (byte) => idOf[byte]);
  return { ids, starts, counts };
}
