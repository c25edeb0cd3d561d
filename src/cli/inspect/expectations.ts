/** `gpt inspect --logits`: the prediction after each token, layer by layer. */
import type { Activations } from '../../inspect/activations.ts';
import { logitLens, type Expectation, type Guess } from '../../inspect/logit-lens.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { formatPercent } from '../../format.ts';
import { shaded, shadeLegend } from '../heat-map.ts';
import { printJson } from '../json-output.ts';
import { print, stdoutColors } from '../terminal.ts';
import { fit, tokenLabel } from '../token-label.ts';

/** Columns for a token and a probability, ` 45%`. */
const LABEL = 9;
const PERCENT = 5;

export async function printExpectations(
  tokenizer: Tokenizer,
  ids: Uint32Array,
  activations: Activations,
  { top, json }: { readonly top: number; readonly json: boolean },
): Promise<void> {
  const positions = await logitLens(activations, ids, top);
  if (json) {
    await printJson(toJson(tokenizer, ids, positions));
    return;
  }
  const label = (id: number): string => tokenLabel(tokenizer.vocabulary[id]);
  const width = process.stdout.columns ?? 80;
  const labelWidth = Math.min(LABEL, Math.max(...Array.from(ids, (id) => label(id).length), 4));
  const guess = ({ id, probability }: Guess, next: number | undefined): string => {
    const shown = `${fit(label(id), labelWidth)}${formatPercent(probability, 0).padStart(PERCENT)}`;
    const colored = shaded(shown, probability, stdoutColors);
    return id === next ? `${stdoutColors.bold(colored)}*` : `${colored} `;
  };
  const cellWidth = labelWidth + PERCENT + 1;
  const fitting = Math.max(1, Math.floor((width - labelWidth - 3) / (cellWidth + 1)));
  const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
    [
      `  ${fit('', labelWidth)} ${head.map((title) => stdoutColors.dim(fit(title, cellWidth))).join(' ')}`.trimEnd(),
      ...rows.map((cells, t) =>
        `  ${stdoutColors.bold(fit(label(ids[t]), labelWidth))} ${cells.join(' ')}`.trimEnd(),
      ),
    ].join('\n');

  const shownTop = Math.min(top, fitting - 1 || 1);
  const head = ['predicted', ...Array.from({ length: shownTop - 1 }, () => ''), 'next'];
  const expected = positions.map((layers, t) => {
    const { top: guesses, next } = layers[layers.length - 1];
    const shown = guesses.slice(0, shownTop).map((each) => guess(each, ids[t + 1]));
    if (next === undefined) return shown;
    const comes = `${fit(label(ids[t + 1]), labelWidth)}${formatPercent(next.probability, 0).padStart(PERCENT)}`;
    const filled = [...shown, ...Array.from({ length: shownTop - shown.length }, () => fit('', cellWidth))];
    return [
      ...filled,
      `${shaded(comes, next.probability, stdoutColors)} ${stdoutColors.dim(ordinal(next.rank + 1))}`,
    ];
  });
  await print(`  ${stdoutColors.bold('Predictions after each token')}; * marks the token that follows.\n\n`);
  await print(`${table(head, expected)}\n\n`);

  const depths = spread(positions[0].length, fitting);
  const names = depths.map((depth) => (depth === 0 ? 'embedding' : `layer ${depth - 1}`));
  const lens = positions.map((layers, t) => depths.map((depth) => guess(layers[depth].top[0], ids[t + 1])));
  await print(
    `  ${stdoutColors.bold('How the prediction forms')}: the output head applied after each layer.\n\n`,
  );
  await print(`${table(names, lens)}\n\n`);
  await print(`  ${shadeLegend(stdoutColors)}\n`);
}

/** At most k of n depths, evenly spaced, including the first and the last. */
function spread(n: number, k: number): number[] {
  if (k >= n) return Array.from({ length: n }, (_, i) => i);
  if (k === 1) return [n - 1];
  return Array.from({ length: k }, (_, i) => Math.round((i * (n - 1)) / (k - 1)));
}

function ordinal(n: number): string {
  const tens = n % 100;
  const suffix = tens >= 11 && tens <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${suffix}`;
}

function toJson(tokenizer: Tokenizer, ids: Uint32Array, positions: readonly (readonly Expectation[])[]) {
  const token = (id: number) => ({ id, text: tokenizer.vocabulary[id] });
  return {
    positions: positions.map((layers, t) => ({
      ...token(ids[t]),
      next: t + 1 < ids.length ? token(ids[t + 1]) : null,
      layers: layers.map(({ top, next }, depth) => ({
        after: depth === 0 ? 'embedding' : `h.${depth - 1}`,
        top: top.map(({ id, probability }) => ({ ...token(id), probability })),
        next_probability: next?.probability ?? null,
        next_rank: next === undefined ? null : next.rank + 1,
      })),
    })),
  };
}
