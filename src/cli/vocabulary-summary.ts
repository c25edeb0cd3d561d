import { formatNumber } from '../format.ts';
import { tokenizers } from '../tokenizer/registry.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Describes a vocabulary: `89 characters and <unk>`. */
export function describeVocabulary({ kind, vocabSize, unkId }: Tokenizer): string {
  const name = tokenizers[kind].tokens;
  return unkId === undefined
    ? `${formatNumber(vocabSize)} ${name}`
    : `${formatNumber(vocabSize - 1)} ${name} and <unk>`;
}
