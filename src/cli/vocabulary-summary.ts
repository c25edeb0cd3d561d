import { formatCountOf, formatList } from '../format.ts';
import { tokenizers } from '../tokenizer/registry.ts';
import { UNK, type Tokenizer, type TokenizerKind } from '../tokenizer/tokenizer.ts';

/** Describes a vocabulary: `89 characters and <unk>`. */
export function describeVocabulary({
  kind,
  vocabSize,
  vocabulary,
  unkId,
  hasCharacterFallback = false,
}: Tokenizer): string {
  const known = unkId === undefined ? vocabSize : vocabSize - 1;
  const characters = hasCharacterFallback
    ? vocabulary.filter((token) => Array.from(token).length === 1).length
    : 0;
  return formatList([
    counted(known - characters, kind),
    ...(hasCharacterFallback ? [counted(characters, 'char')] : []),
    ...(unkId === undefined ? [] : [UNK]),
  ]);
}

const counted = (count: number, kind: TokenizerKind): string => formatCountOf(count, tokenizers[kind].token);
