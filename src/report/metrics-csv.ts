/** The metrics of runs as CSV, for spreadsheets, pandas and R: a row per step, with the evaluation after it. */
import Papa from 'papaparse';
import {
  evaluationFields,
  type EvaluationMetrics,
  type RunLogs,
  type StepMetrics,
} from '../checkpoint/logs.ts';

/** The fields of metrics.jsonl, and the speed of the steps. */
const COLUMNS = [
  'step',
  'tokens_seen',
  'elapsed_seconds',
  'loss',
  'lr',
  'grad_norm',
  'tokens_per_second',
  'train_loss_estimate',
  'val_loss_estimate',
  'weights_val_loss_estimate',
  'average_val_loss_estimate',
  'val_loss',
] as const;

type Row = Readonly<Partial<Record<(typeof COLUMNS)[number] | 'run', string | number>>>;

interface NamedLogs {
  readonly name: string;
  readonly logs: RunLogs;
}

/**
 * A header and the rows of all runs; with several runs, the first column is `run`. Missing and non-finite values are empty.
 */
export function metricsCsv(runs: readonly NamedLogs[]): string {
  const rows = runs.flatMap(({ name, logs }) =>
    rowsOf(logs).map((row): Row => (runs.length > 1 ? { run: name, ...row } : row)),
  );
  const columns = [...(runs.length > 1 ? ['run'] : []), ...COLUMNS];
  // Without escaping, a spreadsheet would evaluate a folder name such as "=1+1".
  const options = { columns, newline: '\n', escapeFormulae: true };
  return `${Papa.unparse({ fields: columns, data: rows }, options)}\n`;
}

function rowsOf({ steps, evaluations, speed, end }: RunLogs): Row[] {
  const rows = new Map<number, Row>();
  const add = (step: number, row: Row): void => {
    rows.set(step, { ...row, ...rows.get(step) });
  };
  const speedOf = speedAt(speed);
  for (const entry of steps) add(entry.step, { ...stepRow(entry), tokens_per_second: speedOf(entry.step) });
  for (const entry of evaluations) add(entry.step, evaluationRow(entry));
  // The loss on the whole validation split is that of the best model.
  if (end?.best !== undefined) add(end.best.step, { step: end.best.step, val_loss: end.best.validationLoss });
  return [...rows.entries()].toSorted(([a], [b]) => a - b).map(([, row]) => withoutNonFinite(row));
}

const spent = ({ step, tokensSeen, elapsedSeconds }: StepMetrics | EvaluationMetrics): Row => ({
  step,
  tokens_seen: tokensSeen ?? '',
  elapsed_seconds: elapsedSeconds ?? '',
});

const stepRow = (entry: StepMetrics): Row => ({
  ...spent(entry),
  loss: entry.loss,
  lr: entry.learningRate,
  grad_norm: entry.gradNorm,
});

const evaluationRow = (entry: EvaluationMetrics): Row => ({
  ...spent(entry),
  ...evaluationFields(entry),
});

/** Looks up tokens per second by step, in ascending order: an entry of the log is the mean of the steps up to it. */
function speedAt(speed: RunLogs['speed']): (step: number) => number {
  let next = 0;
  return (step) => {
    while (next < speed.length && speed[next].step < step) next++;
    return next < speed.length ? Math.round(speed[next].tokens / speed[next].seconds) : NaN;
  };
}

const withoutNonFinite = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).filter(([, value]) => typeof value === 'string' || Number.isFinite(value)),
  );
