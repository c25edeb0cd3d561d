/** `gpt inspect --attention`: heat maps and statistics of heads. */
import type { Activations } from '../../inspect/activations.ts';
import { attentionMap, meanMap, summarizeHead, type AttentionMap } from '../../inspect/attention.ts';
import { UsageError } from '../../errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { formatCountOf, formatPercent } from '../../format.ts';
import { formatColumns } from '../columns.ts';
import { heatMap, shadeLegend } from '../heat-map.ts';
import { printJson } from '../json-output.ts';
import { print, stdoutColors } from '../terminal.ts';
import { tokenLabel } from '../token-label.ts';

interface Choice {
  readonly layer: number | undefined;
  readonly head: number | undefined;
  readonly json: boolean;
}

interface HeadMap {
  readonly layer: number;
  readonly head: number;
  readonly map: AttentionMap;
}

/** @throws UsageError if the model lacks the layer or head */
export async function printAttention(
  tokenizer: Tokenizer,
  ids: Uint32Array,
  activations: Activations,
  { layer, head, json }: Choice,
): Promise<void> {
  const { nLayer, nHead } = activations.config;
  const layers = chosen('--layer', layer, nLayer, 'layers');
  const heads = chosen('--head', head, nHead, 'heads');
  const maps = layers.flatMap((l) =>
    heads.map((h): HeadMap => ({ layer: l, head: h, map: attentionMap(activations, l, h) })),
  );
  const tokens = Array.from(ids, (id) => tokenizer.vocabulary[id]);
  if (json) {
    await printJson(toJson(ids, tokens, maps));
    return;
  }
  const labels = tokens.map(tokenLabel);
  const width = process.stdout.columns ?? 80;
  const of = [
    layer === undefined ? `the mean of ${formatCountOf(nLayer, 'layer')}` : `layer ${layer}`,
    head === undefined
      ? `${layer === undefined ? '' : 'the mean of '}${formatCountOf(nHead, 'head')}`
      : `head ${head}`,
  ].join(', ');
  await print(
    `  ${stdoutColors.bold(`Attention, ${of}`)}\n  Each row shows which tokens one token attends to.\n\n`,
  );
  await print(`${heatMap(meanMap(maps.map(({ map }) => map)), labels, width, stdoutColors)}\n\n`);
  await print(`  ${shadeLegend(stdoutColors)}\n`);
  if (maps.length > 1 && ids.length > 1) await print(`\n${headTable(maps, ids.length)}\n`);
}

/** The requested index, or all. */
function chosen(flag: string, index: number | undefined, n: number, things: string): number[] {
  if (index === undefined) return Array.from({ length: n }, (_, i) => i);
  if (index >= n)
    throw new UsageError('bad-option-value', `${flag} is ${index}, but the model has ${n} ${things}`, {
      hint: `${things} are numbered from 0 to ${n - 1}`,
    });
  return [index];
}

function headTable(maps: readonly HeadMap[], T: number): string {
  const rows = maps.map(({ layer, head, map }) => {
    const { self, previous, first, distance, spread } = summarizeHead(map, T);
    return [
      `layer ${layer}, head ${head}`,
      formatPercent(self, 0),
      formatPercent(previous, 0),
      formatPercent(first, 0),
      distance.toFixed(1),
      formatPercent(spread, 0),
    ];
  });
  return formatColumns(['attention to', 'itself', 'previous', 'first', 'distance', 'spread'], rows);
}

const toJson = (ids: Uint32Array, tokens: readonly string[], maps: readonly HeadMap[]) => ({
  tokens: tokens.map((text, i) => ({ id: ids[i], text })),
  maps: maps.map(({ layer, head, map }) => ({
    layer,
    head,
    ...summarizeHead(map, ids.length),
    /** Row i holds the attention of token i to tokens 0 … i. */
    weights: tokens.map((_, i) => Array.from(map.subarray(i * ids.length, i * ids.length + i + 1))),
  })),
});
