/**
 * Compares tokenizers by the sweeps of docs/recipe.md: bits per byte of the models that `gpt train` chooses for three
 * minutes, those by bpe on a slower processor. Texts of the same size differ, so the answer is a range.
 */
import type { TokenizerKind } from '../tokenizer/tokenizer.ts';

const sweep: readonly {
  readonly text: string;
  readonly megabytes: number;
  readonly bitsPerByte: Readonly<Record<TokenizerKind, number>>;
}[] = [
  { text: 'tinyshakespeare', megabytes: 1.12, bitsPerByte: { char: 2.124, bpe: 2.093, word: 2.039 } },
  { text: 'moby-dick', megabytes: 1.22, bitsPerByte: { char: 1.983, bpe: 1.9, word: 1.883 } },
  { text: 'kjv', megabytes: 4.14, bitsPerByte: { char: 1.779, bpe: 1.611, word: 1.592 } },
  { text: 'three', megabytes: 4.09, bitsPerByte: { char: 1.211, bpe: 1.066, word: 1.154 } },
];

/** Texts count as similar in size if the larger has at most this many times the bytes of the smaller. */
const LIKE = 3;
/** Texts count together if they are at most this factor further from the given size than the nearest one. */
const SAME = 1.5;

export interface TokenizerGain {
  readonly kind: TokenizerKind;
  /** Relative change of bits per byte against char on the texts nearest in size; below 0 is better. */
  readonly least: number;
  readonly most: number;
}

/** Gains of bpe and word on measured texts of about this size; empty if there are none. */
export function gainsOverChar(bytes: number): TokenizerGain[] {
  const distance = ({ megabytes }: { readonly megabytes: number }): number =>
    Math.abs(Math.log(bytes / 1e6 / megabytes));
  const nearest = Math.min(...sweep.map(distance));
  if (nearest > Math.log(LIKE)) return [];
  const texts = sweep.filter((each) => distance(each) <= nearest + Math.log(SAME));
  return (['bpe', 'word'] as const).map((kind) => {
    const changes = texts.map(({ bitsPerByte: { char, [kind]: other } }) => other / char - 1);
    return { kind, least: Math.min(...changes), most: Math.max(...changes) };
  });
}
