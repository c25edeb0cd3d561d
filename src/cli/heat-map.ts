/** Probabilities as shades, on a terminal with colours or without. */
import type { ChalkInstance } from 'chalk';
import { columnsOf, cut, fit } from './token-label.ts';

interface Shade {
  /** The shade stands for probabilities below this one. */
  readonly below: number;
  readonly sign: string;
  readonly color: (colors: ChalkInstance) => (text: string) => string;
}

/** Both the ink and the hue say how much: one alone would be lost on one terminal or another. */
const shades: readonly Shade[] = [
  { below: 0.02, sign: '·', color: (c) => c.dim },
  { below: 0.1, sign: '░', color: (c) => c.blue },
  { below: 0.25, sign: '▒', color: (c) => c.cyan },
  { below: 0.5, sign: '▓', color: (c) => c.yellow },
  { below: Infinity, sign: '█', color: (c) => c.red },
];

const shadeOf = (probability: number): Shade =>
  shades.find(({ below }) => probability < below) ?? shades[shades.length - 1];

/** Text in the colour of a probability. */
export const shaded = (text: string, probability: number, colors: ChalkInstance): string =>
  shadeOf(probability).color(colors)(text);

/** What the shades mean, in one line. */
export function shadeLegend(colors: ChalkInstance): string {
  const named = shades.map(({ below, sign, color }, i) => {
    const meaning = below < Infinity ? `under ${100 * below}%` : `${100 * shades[i - 1].below}% or more`;
    return `${color(colors)(sign)} ${meaning}`;
  });
  return named.join('   ');
}

const WIDEST_LABEL = 14;
const TALLEST_HEAD = 6;

/**
 * A causal map [T,T] as text: a row for each token that looks, a column for each it looks at. Where the columns do not all
 * fit, they come in bands below each other.
 *
 * @param labels of the tokens, as they are to be shown
 * @param width of the terminal, in columns
 */
export function heatMap(
  map: ArrayLike<number>,
  labels: readonly string[],
  width: number,
  colors: ChalkInstance,
): string {
  const T = labels.length;
  const labelWidth = Math.min(WIDEST_LABEL, Math.max(...labels.map(columnsOf)));
  const room = Math.max(8, width - labelWidth - 4);
  const isWide = labels.some((label) => Array.from(label).some((character) => columnsOf(character) > 1));
  const cell = isWide || 2 * T <= room ? 2 : 1;
  const perBand = Math.floor(room / cell);
  const bands: string[] = [];
  for (let start = 0; start < T; start += perBand) {
    const end = Math.min(T, start + perBand);
    const rows = columnHeads(labels.slice(start, end), cell).map(
      (line) => `  ${' '.repeat(labelWidth)}  ${colors.dim(line)}`,
    );
    for (let i = start; i < T; i++) {
      let cells = '';
      for (let j = start; j < Math.min(end, i + 1); j++) {
        const { sign, color } = shadeOf(map[i * T + j]);
        cells += color(colors)(sign.repeat(cell));
      }
      rows.push(`  ${fit(labels[i], labelWidth, 'right')}  ${cells}`);
    }
    bands.push(rows.join('\n'));
  }
  return bands.join('\n\n');
}

/** Labels written downwards, each ending just above its column. */
function columnHeads(labels: readonly string[], cell: number): string[] {
  const columns = labels.map((label) => Array.from(cut(label, TALLEST_HEAD)));
  const height = Math.max(...columns.map((characters) => characters.length));
  return Array.from({ length: height }, (_, row) =>
    columns
      .map((characters) => fit(characters[row - height + characters.length] ?? '', cell))
      .join('')
      .trimEnd(),
  );
}
