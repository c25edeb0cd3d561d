/** Probabilities as shades, with or without colors. */
import type { ChalkInstance } from 'chalk';
import { columnsOf, cut, fit } from './token-label.ts';

interface Shade {
  /** Upper bound of the probabilities with this shade. */
  readonly below: number;
  readonly sign: string;
  readonly color: (colors: ChalkInstance) => (text: string) => string;
}

/** Character and color both encode the value, because some terminals show only one of them well. */
const shades: readonly Shade[] = [
  { below: 0.02, sign: '·', color: (c) => c.dim },
  { below: 0.1, sign: '░', color: (c) => c.blue },
  { below: 0.25, sign: '▒', color: (c) => c.cyan },
  { below: 0.5, sign: '▓', color: (c) => c.yellow },
  { below: Infinity, sign: '█', color: (c) => c.red },
];

const shadeOf = (probability: number): Shade =>
  shades.find(({ below }) => probability < below) ?? shades[shades.length - 1];

/** Text colored by a probability. */
export const shaded = (text: string, probability: number, colors: ChalkInstance): string =>
  shadeOf(probability).color(colors)(text);

/** One-line legend of the shades. */
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
 * A causal map [T,T] as text, with one row per query and one column per key. Columns that do not fit continue in bands
 * below.
 *
 * @param labels of the tokens, ready for display
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

/** Vertical labels, each ending just above its column. */
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
