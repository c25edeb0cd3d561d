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
import { SPECIAL } from './added-tokens.ts';
import { specialTokenSplitter } from './added-token-splitter.ts';
import { endOfTextRoles, gpt2Model, readBpe, readVocabAndMerges } from './bpe-json.ts';
import { learnMerges, type Words } from './bpe-learning.ts';
import { createBpeTokenizer } from './bpe-tokenizer.ts';
import { byteAlphabet, byteOfToken } from './byte-alphabet.ts';
import { gpt2Starts } from './gpt2-pieces.ts';
import { PieceCounter } from './pieces.ts';
import { checkDistinct } from './special-token-list.ts';
import { refuse, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { noSettings, specialTokensOf, type TokenizerSettings } from './tokenizer-settings.ts';
import {
  END_OF_TEXT,
  unmarked,
  type Tokenizer,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';

export { isBpeJson } from './bpe-json.ts';

/**
 * Default size: merges in proportion to the square root of the text's bytes, rounded up to a multiple of 64 tokens, as is
 * customary for the GEMM of an output head, and at most 2,048 tokens besides special tokens of the user.
 * docs/recipe-experiments.md#how-large-is-the-vocabulary-of-bpe
 */
const [MERGES_PER_ROOT, SIZE_MULTIPLE, MAX_DEFAULT_SIZE] = [1.8, 64, 2048];

/**
 * Ids are laid out as in GPT-2: the 256 bytes in the order of the byte alphabet, then the merges, then `<|endoftext|>` and
 * other special tokens.
 *
 * @throws UsageError if `maxSize` leaves no room for 256 bytes and the special tokens
 */
export function bpeVocabulary({
  minFrequency = 1,
  maxSize,
  specialTokens = [],
}: VocabularyOptions): VocabularyBuilder {
  const added = [END_OF_TEXT, ...specialTokens];
  const minSize = byteAlphabet.length + added.length;
  if (maxSize !== undefined && maxSize < minSize)
    throw new UsageError('bad-option-value', `a bpe vocabulary of ${maxSize} tokens is too small`, {
      hint: `use at least ${minSize}: the 256 bytes and ${added.join(', ')}`,
    });
  const split = specialTokenSplitter(added);
  const counter = new PieceCounter(gpt2Starts);
  const count = (text: string, final: boolean, mark?: string): void => {
    for (const { text: stretch, special } of split(text, final, mark))
      counter.push(unmarked(stretch, mark), final || special !== undefined);
  };
  return {
    push: (text, mark) => count(text, false, mark),
    end(learned) {
      count('', true);
      const tokens = [...byteAlphabet];
      const words = wordsOf(counter);
      const most = (maxSize ?? defaultSize(words) + specialTokens.length) - added.length;
      const merges = learnMerges(words, tokens, { maxSize: most, minFrequency, learned });
      const all = [...tokens, ...added];
      checkDistinct(all, tokens.length);
      const model = gpt2Model({
        tokens: all,
        merges,
        added: new Map(added.map((_, i) => [tokens.length + i, SPECIAL])),
        special: specialTokensOf({ roles: endOfTextRoles, extra: [] }, all, undefined),
        addPrefixSpace: false,
        firstId: undefined,
      });
      return createBpeTokenizer(model);
    },
  };
}

/**
 * Reads GPT-2's older format: vocab.json holds the ids, merges.txt one merge per line.
 *
 * @param settings from the other files of the folder
 */
export function bpeFromVocabAndMerges(
  vocab: NamedText,
  merges: NamedText,
  settings: TokenizerSettings = noSettings,
): Tokenizer {
  const fail = refuse(vocab.file);
  const json = parseJsonObject(vocab.text, fail);
  return createBpeTokenizer(readVocabAndMerges(json, merges.text, settings, fail, refuse(merges.file)));
}

interface NamedText {
  readonly file: string;
  readonly text: string;
}

export const bpeFromJson = (
  json: JsonObject,
  fail: Refuse,
  settings: TokenizerSettings,
  text: string,
): Tokenizer => createBpeTokenizer(readBpe(json, fail, settings, text));

/** Includes one special token, `<|endoftext|>`. */
function defaultSize({ starts, counts }: Words): number {
  let bytes = 0;
  counts.forEach((count, w) => (bytes += count * (starts[w + 1] - starts[w])));
  const size = byteAlphabet.length + 1 + MERGES_PER_ROOT * Math.sqrt(bytes);
  return Math.min(MAX_DEFAULT_SIZE, SIZE_MULTIPLE * Math.ceil(size / SIZE_MULTIPLE));
}

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
