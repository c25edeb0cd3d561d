/** Line charts in a terminal, drawn with braille patterns of 2 × 4 dots per character. */
import type { ChalkInstance } from 'chalk';

export interface Series {
  readonly name: string;
  /** Character at the end of the curve, which identifies it without colors. */
  readonly mark?: string;
  /** Sorted by x; points that are not finite are skipped. */
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly color: (text: string) => string;
}

export interface ChartSize {
  /** Total width in columns, including labels. */
  readonly width: number;
  /** Height of the plot in rows. */
  readonly height: number;
  /** End of the x axis; default: the last point. */
  readonly xMax?: number;
}

/** In columns; a wider chart shows no more detail. */
export const MAX_CHART_WIDTH = 100;

const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
];

/** Draws all series in one chart with scales on the left and below; later ones cover earlier ones. */
export function lineChart(
  series: readonly Series[],
  { width, height, xMax = -Infinity }: ChartSize,
  colors: ChalkInstance,
): string {
  const finite = series.map((each) => ({
    ...each,
    points: each.points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)),
  }));
  const all = finite.flatMap(({ points }) => points);
  if (all.length === 0) return '';
  const [left, right] = extent([...all.map(([x]) => x), ...(xMax > all[0][0] ? [xMax] : [])]);
  const [bottom, top] = padded(extent(all.map(([, y]) => y)));
  const digits = Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(top - bottom))));
  const scale = [top, (top + bottom) / 2, bottom].map((y) => y.toFixed(digits));
  const labelWidth = Math.max(...scale.map((label) => label.length));
  const columns = Math.max(10, width - labelWidth - 4);

  const cells = new Map<number, { dots: number; mark?: string; color: Series['color'] }>();
  const dot = (x: number, y: number, color: Series['color']): void => {
    const at = (y >> 2) * columns + (x >> 1);
    const before = cells.get(at)?.dots ?? 0;
    cells.set(at, { dots: before | DOTS[y & 3][x & 1], color });
  };
  const across = (x: number): number =>
    right === left ? 0 : Math.round(((x - left) / (right - left)) * (2 * columns - 1));
  const down = (y: number): number => Math.round(((top - y) / (top - bottom)) * (4 * height - 1));
  for (const { points, color } of finite) {
    points.forEach(([x, y], i) => {
      const [fromX, fromY] = points[Math.max(0, i - 1)];
      line(across(fromX), down(fromY), across(x), down(y), (column, row) => dot(column, row, color));
    });
  }
  for (const { points, color, mark } of finite) {
    const end = points.at(-1);
    if (mark === undefined || end === undefined) continue;
    let at = (down(end[1]) >> 2) * columns + (across(end[0]) >> 1);
    while (cells.get(at)?.mark !== undefined) at--; // marks of curves that end at the same point are placed side by side
    cells.set(at, { dots: 0, mark, color });
  }

  const rows = Array.from({ length: height }, (_, row) => {
    const label = row === 0 ? scale[0] : row === height - 1 ? scale[2] : row === height >> 1 ? scale[1] : '';
    let curve = '';
    for (let column = 0; column < columns; column++) {
      const cell = cells.get(row * columns + column);
      curve += cell === undefined ? ' ' : cell.color(cell.mark ?? String.fromCodePoint(0x2800 + cell.dots));
    }
    return `  ${label.padStart(labelWidth)} ${colors.dim('│')}${curve.trimEnd()}`;
  });
  const [first, last] = [String(left), String(right)];
  const gap = ' '.repeat(Math.max(1, columns - first.length - last.length));
  rows.push(`  ${' '.repeat(labelWidth)} ${colors.dim(`└${'─'.repeat(columns)}`)}`);
  rows.push(`  ${' '.repeat(labelWidth + 2)}${colors.dim(`${first}${gap}${last}`)}`);
  return rows.join('\n');
}

/** Names of the series in their colors. */
export const chartLegend = (series: readonly Series[]): string =>
  series.map(({ name, mark, color }) => `${color(mark ?? '━━')} ${name}`).join('   ');

function extent(values: readonly number[]): [number, number] {
  let [min, max] = [Infinity, -Infinity];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return [min, max];
}

/** A constant curve is centered vertically. */
const padded = ([min, max]: readonly [number, number]): [number, number] =>
  max > min
    ? [min, max]
    : [min - Math.max(1e-3, Math.abs(min) / 10), max + Math.max(1e-3, Math.abs(max) / 10)];

/** Bresenham's line (1965). */
function line(x0: number, y0: number, x1: number, y1: number, dot: (x: number, y: number) => void): void {
  const [dx, dy] = [Math.abs(x1 - x0), -Math.abs(y1 - y0)];
  const [stepX, stepY] = [Math.sign(x1 - x0), Math.sign(y1 - y0)];
  let error = dx + dy;
  for (;;) {
    dot(x0, y0);
    if (x0 === x1 && y0 === y1) return;
    const doubled = 2 * error;
    if (doubled >= dy) {
      error += dy;
      x0 += stepX;
    }
    if (doubled <= dx) {
      error += dx;
      y0 += stepY;
    }
  }
}
