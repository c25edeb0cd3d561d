/** The lines of a run's live view: curves, the latest sample, and progress. */
import type { ChalkInstance } from 'chalk';
import stringWidth from 'string-width';
import { formatNumber, formatRate } from '../../format.ts';
import { chartLegend, lineChart, MAX_CHART_WIDTH, type Series } from '../line-chart.ts';
import { countHead, renderLine } from '../progress-bar.ts';
import { SPARE_COLUMNS } from '../terminal.ts';
import type { Point } from './loss-curve.ts';

/** The displayed state of a run. */
export interface Shown {
  readonly step: number;
  readonly maxIters: number;
  /** Nats per token: over the last steps, and at evaluations. */
  readonly trainLosses: readonly Point[];
  readonly validationLosses: readonly Point[];
  readonly best: Point | undefined;
  /** Of the last step. */
  readonly loss: number | undefined;
  /** Work between two steps that takes long, and the share done if it is known. */
  readonly activity: { readonly what: string; readonly done: number | undefined } | undefined;
  readonly tokensPerSecond: number;
  /** Seconds so far and left. */
  readonly elapsed: number;
  readonly left: number;
  readonly sample: { readonly step: number; readonly text: string } | undefined;
}

const SAMPLE_LINES = 4;
/** Minimum rows for the sample and for the chart, and minimum columns for either. */
const [ROWS_FOR_SAMPLE, ROWS_FOR_CHART] = [20, 12];
const NARROWEST = 40;

export function renderFrame(run: Shown, columns: number, rows: number, colors: ChalkInstance): string[] {
  const width = Math.min(columns - 1, MAX_CHART_WIDTH);
  const isWide = width >= NARROWEST;
  const chart = isWide && rows >= ROWS_FOR_CHART ? renderChart(run, width, rows, colors) : [];
  const sample = isWide && rows >= ROWS_FOR_SAMPLE ? renderSample(run, width, colors) : [];
  const above = [...chart, ...sample];
  return [...above, ...(above.length > 0 ? [''] : []), renderProgress(run, columns - SPARE_COLUMNS)];
}

function renderProgress(run: Shown, width: number): string {
  if (run.activity !== undefined) {
    const { what, done: share } = run.activity;
    return `${what} ${share === undefined ? '…' : `${Math.floor(100 * share)}%`}`.slice(0, width);
  }
  const done = run.step >= run.maxIters;
  const progress = {
    value: run.step,
    total: run.maxIters,
    progress: Math.min(1, run.step / run.maxIters),
    eta: Math.ceil(run.left),
    startTime: Date.now() - 1000 * run.elapsed,
    stopTime: null,
    maxWidth: width,
  };
  const fields = [
    ...(run.loss === undefined ? [] : [`loss ${run.loss.toFixed(3)}`]),
    ...(run.tokensPerSecond > 0 ? [formatRate(run.tokensPerSecond, 'tok')] : []),
  ];
  return renderLine(
    countHead('step', run.step, run.maxIters),
    done ? { ...progress, progress: 1 } : progress,
    fields,
    width,
  );
}

function renderChart(run: Shown, width: number, rows: number, colors: ChalkInstance): string[] {
  const { trainLosses, validationLosses, best } = run;
  const from = 0.03 * run.step; // the steep initial fall would flatten the rest
  const since = (points: readonly Point[]): Point[] => points.filter(([step]) => step >= from);
  if (since(trainLosses).length < 2) return [];
  const last = validationLosses.at(-1);
  const series: Series[] = [
    {
      name: `train ${trainLosses.at(-1)![1].toFixed(3)}`,
      points: since(trainLosses),
      color: (text) => colors.cyan(text),
    },
    ...(last === undefined
      ? []
      : [
          {
            name: `validation ${last[1].toFixed(3)}${best === undefined || best[0] === last[0] ? '' : `, best ${best[1].toFixed(3)} at step ${formatNumber(best[0])}`}`,
            points: since(validationLosses),
            color: (text: string) => colors.yellow(text),
          },
        ]),
  ];
  const height = Math.min(12, Math.max(4, Math.floor(rows / 3)));
  const legend = `  ${chartLegend(series)}`;
  return [
    ...(stringWidth(legend) <= width ? [legend] : [`  ${chartLegend(series.slice(-1))}`]).filter(
      (line) => stringWidth(line) <= width,
    ),
    ...lineChart(series, { width, height, xMax: run.maxIters }, colors).split('\n'),
  ];
}

/** The start of the sample in a constant number of lines, so that what is below does not move. */
function renderSample({ sample }: Shown, width: number, colors: ChalkInstance): string[] {
  if (sample === undefined) return [];
  const lines = foldText(sample.text.trim(), width - 4).slice(0, SAMPLE_LINES);
  const blank = Array.from({ length: SAMPLE_LINES - lines.length }, () => '');
  return [
    colors.dim(`  sample at step ${formatNumber(sample.step)}:`),
    ...[...lines, ...blank].map((line) => `  ${colors.dim('│')} ${line}`),
  ];
}

const segmenter = new Intl.Segmenter();

/** Breaks text into lines of at most `width` columns. */
export function foldText(text: string, width: number): string[] {
  const most = Math.max(width, 2);
  const lines: string[] = [];
  for (const line of text.replaceAll('\t', '    ').split('\n')) {
    let part = '';
    let columns = 0;
    for (const { segment } of segmenter.segment(line)) {
      const size = stringWidth(segment);
      if (columns + size > most) {
        lines.push(part);
        part = '';
        columns = 0;
      }
      part += segment;
      columns += size;
    }
    lines.push(part);
  }
  return lines;
}
