/** Converts a run's logs to curves for the page. */
import type { RunLogs } from '../checkpoint/logs.ts';
import { thinned, type RunRecord } from '../inspect/run-record.ts';
import type { ChartData, ChartSeries } from './browser/page-data.ts';

/** More points than a screen has columns would not be visible. */
const POINTS = 800;

/** Number of page colors for curves, besides the faint one. */
export const LINE_COLORS = 6;

export interface NamedRun {
  readonly name: string;
  readonly run: RunRecord;
}

/** Charts of one run, or of several runs overlaid. Charts without data are omitted. */
export function chartsOf(runs: readonly NamedRun[]): ChartData[] {
  const single = runs.length === 1;
  const each = (curve: (logs: RunLogs) => Curve): ChartSeries[] =>
    runs.map(({ name, run }, i) => series(single ? '' : name, (i % LINE_COLORS) + 1, curve(run.logs)));
  const losses = single
    ? [
        series('each step', 0, stepCurve(runs[0].run.logs, 'loss')),
        series('training text', 1, evaluationCurve(runs[0].run.logs, 'trainLoss')),
        series('validation text', 2, evaluationCurve(runs[0].run.logs, 'validationLoss')),
        series('validation text, without averaging the weights', 3, weightsCurve(runs[0].run.logs)),
      ]
    : each((logs) => evaluationCurve(logs, 'validationLoss'));
  const charts: ChartData[] = [
    { id: 'chart-loss', unit: 'nats per token', digits: 4, height: 340, series: losses },
    {
      id: 'chart-learning-rate',
      unit: 'learning rate',
      digits: 6,
      height: 200,
      series: each((logs) => stepCurve(logs, 'learningRate')),
    },
    {
      id: 'chart-speed',
      unit: 'tokens a second',
      digits: 0,
      height: 200,
      series: each(({ speed }) =>
        speed.map(({ step, seconds, tokens }) => ({ step, value: tokens / seconds })),
      ),
    },
    {
      id: 'chart-gradient',
      unit: 'gradient norm',
      digits: 3,
      height: 200,
      series: each((logs) => stepCurve(logs, 'gradNorm')),
    },
  ];
  return charts
    .map((chart) => ({ ...chart, series: chart.series.filter(({ steps }) => steps.length > 0) }))
    .filter((chart) => chart.series.length > 0);
}

type Curve = readonly { readonly step: number; readonly value: number }[];

const stepCurve = ({ steps }: RunLogs, field: 'loss' | 'learningRate' | 'gradNorm'): Curve =>
  thinned(steps, (step) => step[field], POINTS);

const evaluationCurve = ({ evaluations }: RunLogs, field: 'trainLoss' | 'validationLoss'): Curve =>
  evaluations.map((each) => ({ step: each.step, value: each[field] }));

/** Validation losses of the raw weights, where their average was evaluated too. */
const weightsCurve = ({ evaluations }: RunLogs): Curve =>
  evaluations.flatMap(({ step, averaging }) =>
    averaging === undefined ? [] : [{ step, value: averaging.weightsLoss }],
  );

const series = (name: string, color: number, curve: Curve): ChartSeries => ({
  name,
  color,
  steps: curve.map(({ step }) => step),
  values: curve.map(({ value }) => (Number.isFinite(value) ? Number(value.toPrecision(6)) : null)),
});
