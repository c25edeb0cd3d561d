import { formatCountOf, formatList } from '../format.ts';
import { tokenizers } from '../tokenizer/registry.ts';
import { UNK, type Tokenizer, type TokenizerKind } from '../tokenizer/tokenizer.ts';

/** Describes a vocabulary: `5,207 words, 48 characters, <unk> and 2 special tokens`. */
export function describeVocabulary({
  kind,
  vocabSize,
  vocabulary,
  unkId,
  specialIds,
  hasCharacterFallback = false,
}: Tokenizer): string {
  const special = specialIds.filter((id) => id !== unkId).length;
  const known = vocabSize - special - (unkId === undefined ? 0 : 1);
  const characters = hasCharacterFallback
    ? vocabulary.filter((token) => Array.from(token).length === 1).length
    : 0;
  return formatList([
    counted(known - characters, kind),
    ...(hasCharacterFallback ? [counted(characters, 'char')] : []),
    ...(unkId === undefined ? [] : [UNK]),
    ...(special === 0 ? [] : [formatCountOf(special, 'special token')]),
  ]);
}

const counted = (count: number, kind: TokenizerKind): string => formatCountOf(count, tokenizers[kind].token);

/** The same for the tokenizer of a text, with the number of tokens that are `<unk>`, if any. */
export const describeUse = (tokenizer: Tokenizer, unknown: number): string =>
  `${describeVocabulary(tokenizer)}${unknown > 0 ? `, used for ${formatCountOf(unknown, 'token')}` : ''}`;
