/**
 * A run's logs: JSON Lines, appended to while it trains.
 *
 *     metrics.jsonl   {"step","loss","lr","grad_norm"} for each step, and "skipped" if it was not taken;
 *                     {"step","train_loss_estimate","val_loss_estimate"} for each evaluation, on a sample of each split;
 *                     {"step","rollback_to","rollbacks","fault","tensor"} where training went back to an earlier step;
 *                     {"step","end","best_step","val_loss"} at the end of a run: the loss of the model that is kept, on
 *                     the whole validation split; null if there is none
 *     samples.jsonl   {"step","text"}: what the model wrote after an evaluation
 *     speed.jsonl     {"step","seconds","tokens"}: what the steps since the line before took
 *
 * Whoever reads them must expect a torn last line, as the writer may have been killed, or be writing.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { FILE_OF_RUN, readWholeFile } from '../read-file.ts';
import { writeFileAtomic } from '../write-file.ts';

export const logNames = ['metrics', 'samples', 'speed'] as const;
export type LogName = (typeof logNames)[number];
export type LogEntry = Readonly<Record<string, unknown>> & { readonly step: number };

export const logPath = (folder: string, name: LogName): string => join(folder, `${name}.jsonl`);

/**
 * Removes the entries after a step from a log, and the end of a run at that step. Damaged lines stay, as nobody can tell
 * which steps they belong to.
 */
export function keepLog(path: string, step: number): void {
  if (!existsSync(path)) return;
  const { lines, isTorn } = linesOf(readLog(path));
  const kept = lines.filter(
    ({ entry }) => entry === undefined || entry.step < step || (entry.step === step && !('end' in entry)),
  );
  if (isTorn || kept.length < lines.length)
    writeFileAtomic(path, [kept.map(({ text }) => `${text}\n`).join('')]);
}

/**
 * What is wrong with the part of a log that a checkpoint has seen, for people; undefined if it is as it was written.
 *
 * @param length of that part, in bytes
 */
export function damageOf(path: string, length: number): string | undefined {
  if (length === 0) return undefined;
  if (!existsSync(path)) return `${path} was missing; it starts again at this checkpoint`;
  const seen = readLog(path).subarray(0, length);
  if (seen.length < length) return `${path} was cut short; its last lines before this checkpoint are lost`;
  const { lines, isTorn } = linesOf(seen);
  return unreadable(path, lines) ?? (isTorn ? `${path} was changed since this checkpoint` : undefined);
}

/** In bytes; a line has a hundred or so. Text of more could not be one string. */
const LARGEST = 500e6;

const readLog = (path: string): Buffer => readWholeFile(path, LARGEST, FILE_OF_RUN);

interface LogLine {
  readonly text: string;
  /** Undefined if the line is damaged: no JSON object with a step. */
  readonly entry: LogEntry | undefined;
}

/** The lines of a log but a torn last one, which a killed or running writer leaves. */
function linesOf(log: Buffer): { lines: LogLine[]; isTorn: boolean } {
  const texts = log.toString().split('\n');
  const isTorn = texts.pop() !== '';
  return { lines: texts.map((text) => ({ text, entry: entryOf(text) })), isTorn };
}

function entryOf(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as LogEntry | null;
    return typeof entry?.step === 'number' ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** Says which lines are damaged; undefined if none is. */
function unreadable(path: string, lines: readonly LogLine[]): string | undefined {
  const numbers = lines.flatMap(({ text, entry }, i) => (entry === undefined && text !== '' ? [i + 1] : []));
  if (numbers.length === 0) return undefined;
  return numbers.length === 1
    ? `${path}: line ${numbers[0]} is damaged and left out`
    : `${path}: ${numbers.length} of ${lines.length} lines are damaged and left out, line ${numbers[0]} the first`;
}

/** One step of a run. A loss that was not finite is NaN. */
export interface StepMetrics {
  readonly step: number;
  /** Nats per token, of the step's batch. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number;
}

/** One evaluation, in nats per token: estimates on a sample of each split. */
export interface EvaluationMetrics {
  readonly step: number;
  readonly trainLoss: number;
  readonly validationLoss: number;
}

/** The end of a run. Of an older one, its step may not be that of the model that is kept. */
export interface EndMetrics {
  readonly step: number;
  /** The step whose model is kept, and its loss on the whole validation split; undefined if the log does not say. */
  readonly best: { readonly step: number; readonly validationLoss: number } | undefined;
}

/** What the model wrote after so many steps. */
export interface LoggedSample {
  readonly step: number;
  readonly text: string;
}

/** How long the steps up to this one took, since the line before. */
export interface SpeedEntry {
  readonly step: number;
  readonly seconds: number;
  readonly tokens: number;
}

/**
 * All that a run has logged so far, in the order of steps: of the steps between a rollback and where it led, only the
 * second time. Empty lists where a log is missing.
 */
export interface RunLogs {
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly EvaluationMetrics[];
  /** Undefined while the run lasts. */
  readonly end: EndMetrics | undefined;
  readonly samples: readonly LoggedSample[];
  readonly speed: readonly SpeedEntry[];
  /** Which lines are damaged and therefore left out, a sentence for each log; for people. */
  readonly damage: readonly string[];
}

/** @throws UserError if a line lacks a field or has another kind of value there */
export function readLogs(folder: string): RunLogs {
  const damage: string[] = [];
  const read = (name: LogName): LogReader[] => {
    const path = logPath(folder, name);
    if (!existsSync(path)) return [];
    const { lines } = linesOf(readLog(path));
    damage.push(...[unreadable(path, lines)].filter((what) => what !== undefined));
    return lines.flatMap(({ entry }) => (entry === undefined ? [] : [new LogReader(path, entry)]));
  };
  const metrics = withoutTakenBack(read('metrics'));
  return {
    steps: metrics
      .filter((line) => line.has('loss'))
      .map((line) => ({
        step: line.step,
        loss: line.number('loss'),
        learningRate: line.number('lr'),
        gradNorm: line.number('grad_norm'),
      })),
    evaluations: metrics.flatMap(evaluationOf),
    end: metrics
      .filter((line) => line.has('end'))
      .map(endOfRun)
      .at(-1),
    samples: read('samples').map((line) => ({ step: line.step, text: line.text('text') })),
    speed: read('speed').map((line) => ({
      step: line.step,
      seconds: line.number('seconds'),
      tokens: line.number('tokens'),
    })),
    damage,
  };
}

/** The estimates were called `train_loss` and `val_loss` before version 0.2. */
function evaluationOf(line: LogReader): EvaluationMetrics[] {
  const suffix = line.has('val_loss_estimate') ? '_estimate' : '';
  if (line.has('end') || !line.has(`val_loss${suffix}`)) return [];
  return [
    {
      step: line.step,
      trainLoss: line.number(`train_loss${suffix}`),
      validationLoss: line.number(`val_loss${suffix}`),
    },
  ];
}

/** Before version 0.2, `validation_loss` was that of the last step's model, which need not be the one that was kept. */
function endOfRun(line: LogReader): EndMetrics {
  const { step } = line;
  if (line.has('validation_loss'))
    return { step, best: { step, validationLoss: line.number('validation_loss') } };
  if (Number.isNaN(line.number('val_loss'))) return { step, best: undefined };
  return { step, best: { step: line.number('best_step'), validationLoss: line.number('val_loss') } };
}

/** Leaves out what a later rollback has taken back. */
function withoutTakenBack(lines: readonly LogReader[]): LogReader[] {
  const kept: LogReader[] = [];
  for (const line of lines) {
    const to = line.has('rollback_to') ? line.number('rollback_to') : Infinity;
    while ((kept.at(-1)?.step ?? -Infinity) > to) kept.pop();
    kept.push(line);
  }
  return kept;
}

/** Takes fields out of one line, checking each. */
class LogReader {
  readonly step: number;
  readonly #path: string;
  readonly #entry: LogEntry;

  constructor(path: string, entry: LogEntry) {
    this.#path = path;
    this.#entry = entry;
    this.step = entry.step;
  }

  has(field: string): boolean {
    return field in this.#entry;
  }

  /** A number; NaN for null, which is how JSON writes what is not finite. */
  number(field: string): number {
    const value = this.#entry[field];
    if (value === null) return NaN;
    return typeof value === 'number' ? value : this.#fail(field, 'a number');
  }

  text(field: string): string {
    const value = this.#entry[field];
    return typeof value === 'string' ? value : this.#fail(field, 'a text');
  }

  #fail(field: string, wanted: string): never {
    throw new UserError(
      'damaged-file',
      `${this.#path}: the line of step ${this.step} has "${field}": ${shownJson(this.#entry[field])}, not ${wanted}`,
      { hint: 'the log is damaged or from another version' },
    );
  }
}
