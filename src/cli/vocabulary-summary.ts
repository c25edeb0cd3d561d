import { formatNumber } from '../format.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Describes a vocabulary: `89 characters and <unk>`. */
export function describeVocabulary({ kind, vocabSize, unkId }: Tokenizer): string {
  if (kind === 'bpe') return `${formatNumber(vocabSize)} byte-level tokens`;
  const name = kind === 'char' ? 'characters' : 'words';
  return unkId === undefined
    ? `${formatNumber(vocabSize)} ${name}`
    : `${formatNumber(vocabSize - 1)} ${name} and <unk>`;
}
