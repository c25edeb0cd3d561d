/**
 * The logs of a run, appended during training as JSON Lines:
 *
 *     metrics.jsonl   {"step","loss","lr","grad_norm"} for each step, with "skipped" if the update was skipped;
 *                     {"step","train_loss_estimate","val_loss_estimate"} for each evaluation, on a sample of each split; with
 *                     an average of the weights, val_loss_estimate is the lower of two more fields,
 *                     "weights_val_loss_estimate" and "average_val_loss_estimate";
 *                     {"step","rollback_to","rollbacks","fault","tensor"} for each rollback;
 *                     {"step","end","best_step","val_loss"} at the end: loss of the best model on the whole validation
 *                     split, null without one; "best_is_average" if that model is the average of the weights
 *     samples.jsonl   {"step","text"}: a sample after an evaluation
 *     speed.jsonl     {"step","seconds","tokens"}: duration of the steps since the previous line
 *
 * Each line of metrics.jsonl ends with "tokens_seen", the tokens trained on so far, and "elapsed_seconds", the wall time of
 * the run so far in all invocations. The times in this file and in speed.jsonl are all that differs between repeated runs.
 *
 * Readers must tolerate an incomplete last line: the writer may have been killed, or be writing.
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

/** Removes the entries after a step, and the end of a run at that step. Damaged lines stay, because their step is unknown. */
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
 * Describes damage to the part of a log that a checkpoint has seen; undefined if it is intact.
 *
 * @param length of that part, in bytes
 */
export function damageOf(path: string, length: number): string | undefined {
  if (length === 0) return undefined;
  if (!existsSync(path)) return `${path} was missing; it starts again at this checkpoint`;
  const seen = readLog(path).subarray(0, length);
  if (seen.length < length) return `${path} was truncated; its last lines before this checkpoint are lost`;
  const { lines, isTorn } = linesOf(seen);
  return unreadable(path, lines) ?? (isTorn ? `${path} was changed since this checkpoint` : undefined);
}

/** In bytes, at about a hundred per line; V8 strings cannot be much longer. */
const LARGEST = 500e6;

const readLog = (path: string): Buffer => readWholeFile(path, LARGEST, FILE_OF_RUN);

interface LogLine {
  readonly text: string;
  /** Undefined for a damaged line: not a JSON object with a step. */
  readonly entry: LogEntry | undefined;
}

/** All lines except an incomplete last one. */
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

/** Names the damaged lines; undefined if there are none. */
function unreadable(path: string, lines: readonly LogLine[]): string | undefined {
  const numbers = lines.flatMap(({ text, entry }, i) => (entry === undefined && text !== '' ? [i + 1] : []));
  if (numbers.length === 0) return undefined;
  return numbers.length === 1
    ? `${path}: line ${numbers[0]} is damaged and was skipped`
    : `${path}: ${numbers.length} of ${lines.length} lines are damaged and were skipped, starting with line ${numbers[0]}`;
}

/** The cost of a run up to a line of its metrics; undefined in older logs. */
interface Spent {
  /** Tokens trained on. */
  readonly tokensSeen: number | undefined;
  /** Wall time in all invocations, with evaluations, samples and checkpoints. */
  readonly elapsedSeconds: number | undefined;
}

/** A training step. A loss that is not finite is NaN. */
export interface StepMetrics extends Spent {
  readonly step: number;
  /** Nats per token, over the step's batch. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradNorm: number;
}

/** An evaluation on a sample of each split, in nats per token. */
export interface EvaluationMetrics extends Spent {
  readonly step: number;
  readonly trainLoss: number;
  readonly validationLoss: number;
  /** Of the weights and of their average, of which `validationLoss` is the lower; undefined without an average. */
  readonly averaging: { readonly weightsLoss: number; readonly averageLoss: number } | undefined;
}

/** The fields of an evaluation in metrics.jsonl, which other output shares. */
export const evaluationFields = ({
  step,
  trainLoss,
  validationLoss,
  averaging,
}: Pick<EvaluationMetrics, 'step' | 'trainLoss' | 'validationLoss' | 'averaging'>) => ({
  step,
  train_loss_estimate: trainLoss,
  val_loss_estimate: validationLoss,
  ...(averaging !== undefined && {
    weights_val_loss_estimate: averaging.weightsLoss,
    average_val_loss_estimate: averaging.averageLoss,
  }),
});

/** The end of a run. In older runs, `step` may not be that of the best model. */
export interface EndMetrics {
  readonly step: number;
  /** The best model's step and its loss on the whole validation split; undefined if not logged. */
  readonly best: { readonly step: number; readonly validationLoss: number } | undefined;
}

/** A sample generated after a step. */
interface LoggedSample {
  readonly step: number;
  readonly text: string;
}

/** Duration of the steps since the previous entry. */
interface SpeedEntry {
  readonly step: number;
  readonly seconds: number;
  readonly tokens: number;
}

/** The logs of a run in the order of steps, without the steps that a rollback undid. A missing log is an empty list. */
export interface RunLogs {
  readonly steps: readonly StepMetrics[];
  readonly evaluations: readonly EvaluationMetrics[];
  /** Undefined while the run is in progress. */
  readonly end: EndMetrics | undefined;
  readonly samples: readonly LoggedSample[];
  readonly speed: readonly SpeedEntry[];
  /** One message per log with damaged lines, which are skipped. */
  readonly damage: readonly string[];
}

/** @throws UserError if a line lacks a field or has a value of the wrong type */
export function readLogs(folder: string): RunLogs {
  const damage: string[] = [];
  const read = (name: LogName): LogReader[] => {
    const path = logPath(folder, name);
    if (!existsSync(path)) return [];
    const { lines } = linesOf(readLog(path));
    damage.push(...[unreadable(path, lines)].filter((what) => what !== undefined));
    return lines.flatMap(({ entry }) => (entry === undefined ? [] : [new LogReader(path, entry)]));
  };
  const metrics = withoutRolledBack(read('metrics'));
  return {
    steps: metrics
      .filter((line) => line.has('loss'))
      .map((line) => ({
        step: line.step,
        loss: line.number('loss'),
        learningRate: line.number('lr'),
        gradNorm: line.number('grad_norm'),
        ...spentBefore(line),
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

/** Total time of the steps in a speed log; 0 without one. Lines that cannot be read do not count. */
export function secondsOfSteps(path: string): number {
  if (!existsSync(path)) return 0;
  return linesOf(readLog(path))
    .lines.map(({ entry }) => entry?.['seconds'])
    .reduce<number>((sum, seconds) => sum + (typeof seconds === 'number' ? seconds : 0), 0);
}

/** In older logs the estimates are called `train_loss` and `val_loss`. */
function evaluationOf(line: LogReader): EvaluationMetrics[] {
  const suffix = line.has('val_loss_estimate') ? '_estimate' : '';
  if (line.has('end') || !line.has(`val_loss${suffix}`)) return [];
  return [
    {
      step: line.step,
      trainLoss: line.number(`train_loss${suffix}`),
      validationLoss: line.number(`val_loss${suffix}`),
      averaging: line.has('average_val_loss_estimate')
        ? {
            weightsLoss: line.number('weights_val_loss_estimate'),
            averageLoss: line.number('average_val_loss_estimate'),
          }
        : undefined,
      ...spentBefore(line),
    },
  ];
}

const spentBefore = (line: LogReader): Spent => ({
  tokensSeen: line.has('tokens_seen') ? line.number('tokens_seen') : undefined,
  elapsedSeconds: line.has('elapsed_seconds') ? line.number('elapsed_seconds') : undefined,
});

/** In older logs, `validation_loss` is that of the last step's model, not necessarily the best one. */
function endOfRun(line: LogReader): EndMetrics {
  const { step } = line;
  if (line.has('validation_loss'))
    return { step, best: { step, validationLoss: line.number('validation_loss') } };
  if (Number.isNaN(line.number('val_loss'))) return { step, best: undefined };
  return { step, best: { step: line.number('best_step'), validationLoss: line.number('val_loss') } };
}

/** Removes entries undone by a later rollback. */
function withoutRolledBack(lines: readonly LogReader[]): LogReader[] {
  const kept: LogReader[] = [];
  for (const line of lines) {
    const to = line.has('rollback_to') ? line.number('rollback_to') : Infinity;
    while ((kept.at(-1)?.step ?? -Infinity) > to) kept.pop();
    kept.push(line);
  }
  return kept;
}

/** Reads and validates the fields of a line. */
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

  /** A number, or NaN for null, the JSON form of values that are not finite. */
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
