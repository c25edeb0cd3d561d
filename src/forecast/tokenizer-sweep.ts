/**
 * Compares tokenizers by the sweeps of docs/recipe.md: bits per byte of the models that `gpt train` chooses for three
 * minutes. Texts of the same size differ by a few percent, so the answer is a range.
 */
import type { TokenizerKind } from '../tokenizer/tokenizer.ts';

const sweep: readonly {
  readonly text: string;
  readonly megabytes: number;
  readonly bitsPerByte: Readonly<Partial<Record<TokenizerKind, number>>>;
}[] = [
  { text: 'tinyshakespeare', megabytes: 1.12, bitsPerByte: { char: 2.13, bpe: 2.124, word: 2.713 } },
  { text: 'moby-dick', megabytes: 1.22, bitsPerByte: { char: 1.993, bpe: 1.933, word: 2.391 } },
  { text: 'kjv', megabytes: 4.14, bitsPerByte: { char: 1.793, bpe: 1.658 } },
];

/** Texts count as similar in size if the larger has at most this many times the bytes of the smaller. */
const LIKE = 3;
/** The same ratio for texts whose results are combined into one range. */
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
  return (['bpe', 'word'] as const).flatMap((kind) => {
    const changes = texts.flatMap(({ bitsPerByte: { char, [kind]: other } }) =>
      char === undefined || other === undefined ? [] : [other / char - 1],
    );
    return changes.length === 0 ? [] : [{ kind, least: Math.min(...changes), most: Math.max(...changes) }];
  });
}
