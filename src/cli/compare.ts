/** `gpt compare`: curves of several runs and the settings in which they differ. */
import type { Command } from 'commander';
import { baseOf } from '../checkpoint/open-model.ts';
import { runFolders } from '../checkpoint/runs.ts';
import { UsageError } from '../errors.ts';
import { differences, haveSameTokens, type Difference } from '../inspect/compare-runs.ts';
import { summarizeRun, type RunRecord } from '../inspect/run-record.ts';
import { countParameters } from '../model/parameters.ts';
import type { NamedRun } from '../report/charts.ts';
import { comparisonReport, namesOf } from '../report/report.ts';
import { formatCount, formatDuration, formatLoss, formatNumber } from '../format.ts';
import { formatColumns } from './columns.ts';
import { whileDoing } from './activity.ts';
import { describeExpected, isExpected } from './errors.ts';
import { kebab } from '../flag-name.ts';
import { addExamples } from './help.ts';
import { chartLegend, lineChart, MAX_CHART_WIDTH, type Series } from './line-chart.ts';
import { baseOption, modelFolder } from './model-options.ts';
import { argument, option } from './options.ts';
import { filePath } from '../values.ts';
import { writePage } from './report.ts';
import { lossesToJson } from './run-summary.ts';
import { printJson } from './json-output.ts';
import { openRun } from './read-run.ts';
import { wrapMessage } from './wrap-message.ts';
import { print, printableLine, stdoutColors, warn } from './terminal.ts';
import { cut, cutStart } from './token-label.ts';

interface Flags {
  readonly base?: string;
  readonly html?: string;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(argument('[run...]', 'run folders; default: all under checkpoints/', modelFolder))
    .addOption(option('--html <file>', 'write the comparison as a web page; -: to stdout', filePath))
    .addOption(baseOption())
    .option('--json', 'print the comparison as JSON')
    .action(compare);
  addExamples(command, [
    ['All runs under checkpoints/', 'gpt compare'],
    ['Two of them', 'gpt compare checkpoints/moby-dick-1 checkpoints/moby-dick-2'],
    ['As a page with curves', 'gpt compare checkpoints/* --html runs.html'],
    ['The losses, for a script', "gpt compare --json | jq -r '.runs[] | [.val_loss, .folder] | @tsv'"],
  ]);
}

async function compare(given: readonly string[], { html, json, base }: Flags): Promise<void> {
  const folders = given.length > 0 ? given : runFolders();
  const found = await whileDoing('reading the runs', (activity) =>
    folders.flatMap((folder, i) => {
      activity.update(`reading ${printableLine(folder)}, ${i + 1} of ${folders.length}`);
      return given.length > 0 ? [openRun(folder, baseOf(folder, base))] : readIfPossible(folder, base);
    }),
  );
  if (found.length < 2)
    throw new UsageError(
      'missing-argument',
      given.length === 0
        ? `there ${found.length === 0 ? 'are no runs' : 'is only one run'} to compare under checkpoints/`
        : 'a comparison needs at least two runs',
      { hint: 'name two or more run folders; gpt inspect shows a single one' },
    );
  const names = namesOf(found.map(({ model }) => model.folder));
  const runs = found.map((run, i) => ({ name: names[i], run }));
  if (html !== undefined) await writePage(comparisonReport(runs), html);
  if (json) await printJson(toJson(runs), 2);
  else if (html === undefined) await print(`${comparison(runs)}\n`);
}

/** Empty, after a warning, if the run is unreadable, so that the others are still compared. */
function readIfPossible(folder: string, base: string | undefined): RunRecord[] {
  try {
    return [openRun(folder, baseOf(folder, base))];
  } catch (error) {
    if (!isExpected(error)) throw error;
    warn(`left out ${printableLine(describeExpected(error).message)}`);
    return [];
  }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const COLORS = ['blue', 'yellow', 'green', 'magenta', 'cyan', 'red'] as const;
const CHART_HEIGHT = 12;
/** Columns of a value, if the terminal is too narrow for all runs. */
const NARROWEST_VALUE = 10;
/** In characters. The longest option name has 25, but an untrusted file may contain names of any length. */
const WIDEST_SETTING = 40;

function comparison(runs: readonly NamedRun[]): string {
  const width = Math.min(process.stdout.columns ?? 80, MAX_CHART_WIDTH);
  const records = runs.map(({ run }) => run);
  const series = runs.map(({ name, run }, i): Series => ({
    name: printableLine(name),
    mark: letterOf(i),
    points: run.logs.evaluations.map(({ step, validationLoss }) => [step, validationLoss]),
    color: stdoutColors[COLORS[i % COLORS.length]],
  }));
  const chart = lineChart(series, { width, height: CHART_HEIGHT }, stdoutColors);
  const parts = [
    `${stdoutColors.bold('Validation loss')}${stdoutColors.dim(', estimates in nats per token over steps')}`,
    chart === '' ? stdoutColors.dim('  None of the runs has been evaluated.') : chart,
    `  ${wrapMessage(chartLegend(series), width - 2)}`,
    '',
    stdoutColors.bold('Results'),
    resultTable(runs),
  ];
  if (runs.some(({ run }) => summarizeRun(run).validation?.isEstimate === true))
    parts.push(
      '',
      '  ≈: an estimate, because the run is unfinished; the others are on the whole validation split.',
    );
  if (!haveSameTokens(records))
    parts.push(
      '',
      '  The runs have different tokenizers, so losses per token cannot be compared.',
      '  gpt eval measures bits per byte, which can.',
    );
  const found = differences(records);
  parts.push('', stdoutColors.bold(found.length > 0 ? 'Settings that differ' : 'All settings are the same.'));
  if (found.length > 0) parts.push(settingTables(found, runs.length, width));
  return parts.join('\n');
}

const letterOf = (i: number): string => LETTERS[i % LETTERS.length];

function resultTable(runs: readonly NamedRun[]): string {
  const number = (value: number | undefined, show: (value: number) => string): string =>
    value === undefined ? '–' : show(value);
  return formatColumns(
    ['', 'params', 'steps', 'val loss', 'at step', 'tok/s', 'time'],
    runs.map(({ run }, i) => {
      const { validation, steps, seconds, tokensPerSecond } = summarizeRun(run);
      return [
        letterOf(i),
        formatCount(countParameters(run.model.config)),
        number(steps, (n) => formatNumber(n)),
        validation === undefined ? '–' : formatLoss(validation),
        number(validation?.step, (n) => formatNumber(n)),
        number(tokensPerSecond, (n) => formatNumber(n)),
        number(seconds, formatDuration),
      ];
    }),
  );
}

/** Values are truncated to fit the terminal, and tables of many runs are divided; --json has all values in full. */
function settingTables(found: readonly Difference[], runs: number, width: number): string {
  const widest = Math.min(
    WIDEST_SETTING,
    Math.max(...found.map(({ setting }) => printableLine(kebab(setting)).length)),
  );
  const space = width - widest - 2;
  const perTable = Math.max(1, Math.min(runs, Math.floor(space / (NARROWEST_VALUE + 2))));
  const room = Math.max(NARROWEST_VALUE, Math.floor(space / perTable) - 2);
  const tables = Array.from({ length: Math.ceil(runs / perTable) }, (_, i) =>
    formatColumns(
      ['', ...letters(runs).slice(i * perTable, (i + 1) * perTable)],
      found.map(({ setting, values }) => [
        cut(printableLine(kebab(setting)), widest),
        ...values.slice(i * perTable, (i + 1) * perTable).map((value) => shortened(value, room)),
      ]),
    ),
  );
  return tables.join('\n\n');
}

const letters = (runs: number): string[] => Array.from({ length: runs }, (_, i) => letterOf(i));

/** Paths differ at their ends, other values at their beginnings. */
function shortened(value: string | undefined, columns: number): string {
  if (value === undefined || value === '') return '–';
  const text = printableLine(rounded(value));
  return text.includes('/') ? cutStart(text, columns) : cut(text, columns);
}

/** `0.00007000000000000001` → `0.00007`. */
const rounded = (value: string): string =>
  /^-?\d+\.\d{7,}/.test(value) ? String(Number(Number(value).toPrecision(6))) : value;

const toJson = (runs: readonly NamedRun[]) => {
  const records: readonly RunRecord[] = runs.map(({ run }) => run);
  return {
    runs: runs.map(({ name, run }) => {
      const { steps, seconds, tokensSeen, tokensPerSecond } = summarizeRun(run);
      return {
        name,
        folder: run.model.folder,
        parameters: countParameters(run.model.config),
        steps: steps ?? null,
        tokens_seen: tokensSeen ?? null,
        ...lossesToJson(run),
        seconds: seconds ?? null,
        tokens_per_second: tokensPerSecond ?? null,
      };
    }),
    same_tokens: haveSameTokens(records),
    differences: Object.fromEntries(
      differences(records).map(({ setting, values }) => [setting, values.map((value) => value ?? null)]),
    ),
  };
};
