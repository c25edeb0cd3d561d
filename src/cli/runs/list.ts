/** `gpt list`: the runs and models in a folder. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import stringWidth from 'string-width';
import { RUNS } from '../../checkpoint/runs.ts';
import { attempt, UserError } from '../../errors.ts';
import { formatBytes, formatCountOf, formatLoss, formatNumber } from '../../format.ts';
import { listRuns, type ListedRun } from '../../inspect/list-runs.ts';
import { filePath } from '../../values.ts';
import { whileDoing } from '../activity.ts';
import { formatColumns } from '../columns.ts';
import { describeExpected, isExpected } from '../errors.ts';
import { addExamples } from '../help.ts';
import { printJson } from '../json-output.ts';
import { argument } from '../options.ts';
import { notice, print, printableLine, stdoutColors } from '../terminal.ts';
import { cut } from '../token-label.ts';

export function register(command: Command): void {
  command
    .addArgument(argument('[folder]', 'a folder of runs; default: checkpoints/', filePath))
    .option('--json', 'print the runs as JSON')
    .action(list);
  addExamples(command, [
    ['The runs under checkpoints/, newest first', 'gpt list'],
    ['Those in another folder', 'gpt list models/'],
    ['The largest one', "gpt list --json | jq -r '.runs | max_by(.bytes).folder'"],
  ]);
}

async function list(given: string | undefined, { json }: { readonly json?: true }): Promise<void> {
  const folder = given ?? RUNS;
  if (given !== undefined) requireFolder(given);
  const runs = await whileDoing('reading the runs', () => (existsSync(folder) ? listRuns(folder) : []));
  if (json) return printJson({ folder, runs: runs.map(toJson) }, 2);
  if (runs.length === 0)
    return notice(
      `There are no runs ${given === undefined ? `under ${RUNS}/` : `in ${printableLine(given)}`}.`,
    );
  await print(`${table(runs)}\n`);
  notice(`\n${formatCountOf(runs.length, 'run')}, ${formatBytes(totalOf(runs))}`);
}

/** A run counts once, even if links name it too. */
function totalOf(runs: readonly ListedRun[]): number {
  const bytes = new Map(runs.map((run) => [attempt(() => realpathSync(run.folder)), run.bytes ?? 0]));
  return [...bytes.values()].reduce((sum, each) => sum + each, 0);
}

function requireFolder(folder: string): void {
  if (!existsSync(folder))
    throw new UserError('file-not-found', `there is no folder ${folder}`, {
      hint: `without a folder, gpt list shows the runs under ${RUNS}/`,
    });
  if (!statSync(folder).isDirectory())
    throw new UserError('wrong-file-kind', `${folder} is a file, not a folder of runs`, {
      hint: 'pass the folder that contains the runs',
    });
}

const HEAD = ['name', 'size', 'val loss', 'steps', 'age', 'state', 'from'];
/** Columns of words, which are left-aligned. */
const LEFT = [5, 6];
/** In characters, on a terminal. */
const [NARROWEST_NAME, NARROWEST_ORIGIN] = [12, 16];

function table(runs: readonly ListedRun[]): string {
  const now = Date.now();
  const rows = runs.map((run) => [
    printableLine(run.name),
    run.bytes === undefined ? '–' : formatBytes(run.bytes),
    run.loss === undefined ? '–' : formatLoss(run.loss),
    run.steps === undefined ? '–' : formatNumber(run.steps),
    run.modified === 0 ? '–' : formatAge((now - run.modified) / 1000),
    stateOf(run),
    printableLine(run.damage === undefined ? originOf(run) : whyDamaged(run)),
  ]);
  const { isTTY, columns } = process.stdout;
  const lines = formatColumns(HEAD, isTTY ? fitted(rows, columns) : rows, LEFT);
  const [head, ...body] = lines.split('\n');
  return [stdoutColors.dim(head), ...body].join('\n');
}

/** Shortens origins and then names to the width of a terminal. */
function fitted(rows: readonly (readonly string[])[], width: number): string[][] {
  const numbers = (cells: readonly string[]): string[] => cells.slice(1, -1);
  const between = widthOf(formatColumns(numbers(HEAD), rows.map(numbers)));
  const names = Math.max(NARROWEST_NAME, width - between - NARROWEST_ORIGIN - 4);
  const shown = rows.map(([name, ...rest]) => [cut(name, names), ...rest]);
  const beforeOrigin = formatColumns(
    HEAD.slice(0, -1),
    shown.map((row) => row.slice(0, -1)),
    LEFT,
  );
  const room = Math.max(NARROWEST_ORIGIN, width - widthOf(beforeOrigin) - 2);
  return shown.map((row) => [...row.slice(0, -1), cut(row.at(-1)!, room)]);
}

const widthOf = (text: string): number => Math.max(...text.split('\n').map((line) => stringWidth(line)));

const stateOf = ({ status, isPruned }: ListedRun): string => (isPruned ? `${status}, pruned` : status);

/** What it was trained on, and from which model. */
function originOf({ corpus, initFrom, base }: ListedRun): string {
  const texts = corpus.map((path) => (path === '-' ? 'stdin' : basename(path)));
  const more = texts.length > 2 ? `, … (${formatNumber(texts.length)} texts)` : '';
  const text = `${texts.slice(0, 2).join(', ')}${more}`;
  const start =
    base !== undefined ? `adapter of ${base}` : initFrom === undefined ? undefined : `from ${initFrom}`;
  return [text, start].filter((part) => part !== undefined && part !== '').join(' · ') || '–';
}

const whyDamaged = ({ damage }: ListedRun): string =>
  isExpected(damage) ? describeExpected(damage).message : '';

/** The largest unit alone: `12 min`, `3 h`, `2 days`. A clock that was set back gives `now`. */
export function formatAge(seconds: number): string {
  const [minute, hour, day, year] = [60, 3600, 86_400, 365.25 * 86_400];
  if (seconds < minute) return 'now';
  if (seconds < hour) return `${Math.floor(seconds / minute)} min`;
  if (seconds < day) return `${Math.floor(seconds / hour)} h`;
  if (seconds < year) return formatCountOf(Math.floor(seconds / day), 'day');
  return formatCountOf(Math.floor(seconds / year), 'year');
}

const toJson = (run: ListedRun) => ({
  name: run.name,
  folder: run.folder,
  state: run.status,
  damage: run.damage === undefined ? null : whyDamaged(run),
  pruned: run.isPruned,
  bytes: run.bytes ?? null,
  modified: run.modified === 0 ? null : new Date(run.modified).toISOString(),
  steps: run.steps ?? null,
  val_loss: run.loss === undefined || run.loss.isEstimate ? null : run.loss.loss,
  val_loss_estimate: run.loss?.isEstimate === true ? run.loss.loss : null,
  corpus: run.corpus,
  init_from: run.initFrom ?? null,
  base: run.base ?? null,
});
