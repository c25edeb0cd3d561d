/** What a text learned by characters would gain by another tokenizer. */
import { formatPercent } from '../format.ts';
import type { TokenizerGain } from '../forecast/tokenizer-sweep.ts';

/** `4% to 5% fewer with --tokenizer word`, of bits per byte. */
export const gainOf = (gain: TokenizerGain): string => `${rangeOf(gain)} with --tokenizer ${gain.kind}`;

/** The tokenizer that gains the most on average; undefined if none does so on every text. */
export const surestGain = (gains: readonly TokenizerGain[]): TokenizerGain | undefined =>
  gains
    .filter(({ most }) => most < 0)
    .toSorted((a, b) => a.least + a.most - (b.least + b.most))
    .at(0);

/** "1% to 3% fewer", "9% fewer to 2% more". */
export function rangeOf({ least, most }: Pick<TokenizerGain, 'least' | 'most'>): string {
  const percent = (share: number): string => formatPercent(Math.abs(share), 0);
  if (least < 0 && most > 0) return `${percent(least)} fewer to ${percent(most)} more`;
  const [low, high] = most > 0 ? [percent(least), percent(most)] : [percent(most), percent(least)];
  return `${low === high ? low : `${low} to ${high}`} ${most > 0 ? 'more' : 'fewer'}`;
}
