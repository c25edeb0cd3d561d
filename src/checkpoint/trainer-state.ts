/** trainer_state.json: where a run stands. With parameters and moments, it is all that a run consists of. */
import { UserError } from '../errors.ts';
import { isJsonObject, parseJsonObject, shownJson } from '../json.ts';
import {
  checkFields,
  count,
  listOf,
  number,
  object,
  optional,
  orNull,
  text,
  type Rule,
  type Rules,
} from '../json-rules.ts';
import { readTextFile } from '../read-file.ts';

export const STATE = 'trainer_state.json';
export const STATE_FORMAT = 2;

export interface TrainerState {
  /** Of this file's layout. */
  readonly format: number;
  /** Steps done. */
  readonly step: number;
  /** Optimiser updates done: steps less those that were skipped. */
  readonly updates: number;
  readonly best_step: number;
  /** Nats per token; null before the first evaluation. */
  readonly best_loss: number | null;
  /** Evaluations since the best one. */
  readonly evaluations_without_improvement: number;
  /** The step whose checkpoint training returns to if it diverges; 0: the start. */
  readonly good_step: number;
  /** The evaluation that belongs to this step was interrupted: resuming starts with it. Absent: false. */
  readonly evaluation_due?: boolean;
  readonly health: StoredHealth;
  readonly tokens_seen: number;
  readonly seed: number;
  readonly corpus_sha256: string;
  /** Of --val-file; null without one. */
  readonly validation_sha256: string | null;
  /** The kernels that computed it: builds of them differ in rounding. */
  readonly engine: string;
  /** How long the logs were. */
  readonly log_bytes: { readonly metrics: number; readonly samples: number };
  /** All options of the run, given or chosen. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What the training knows about its own course; src/train/divergence.ts says what for. */
export interface StoredHealth {
  readonly recent_losses: readonly number[];
  readonly overcome_spikes: readonly { readonly step: number; readonly loss: number }[];
  readonly skipped_in_a_row: number;
  /** The largest loss among these; null if none of them had one. */
  readonly skipped_loss: number | null;
  readonly rollbacks: number;
  readonly learning_rate_factor: number;
}

const spike: Rule = {
  is: (value) => isJsonObject(value) && count.is(value['step']) && number.is(value['loss']),
  expected: 'a step and a loss',
};

const stateRules: Rules<TrainerState> = {
  format: count,
  step: count,
  updates: count,
  best_step: count,
  best_loss: orNull(number),
  evaluations_without_improvement: count,
  good_step: count,
  evaluation_due: optional({ is: (value) => typeof value === 'boolean', expected: 'true or false' }),
  health: object,
  tokens_seen: count,
  seed: count,
  corpus_sha256: text,
  validation_sha256: orNull(text),
  engine: text,
  log_bytes: {
    is: (value) => isJsonObject(value) && count.is(value['metrics']) && count.is(value['samples']),
    expected: 'the lengths of metrics and samples',
  },
  options: object,
};

const healthRules: Rules<StoredHealth> = {
  recent_losses: listOf(number),
  overcome_spikes: listOf(spike),
  skipped_in_a_row: count,
  skipped_loss: orNull(number),
  rollbacks: count,
  learning_rate_factor: number,
};

/** In bytes. A state has some kilobytes; the losses it remembers are few. */
const LARGEST = 1e6;

/** @throws UserError that names the file and the field, if anything is not as it must be */
export function readTrainerState(path: string): TrainerState {
  const fail = (what: string, hint = 'the checkpoint is damaged or from another version'): never => {
    throw new UserError(`${path}: ${what}`, { hint });
  };
  const state = parseJsonObject(readTextFile(path, LARGEST), fail);
  const { format } = state;
  if (typeof format === 'number' && format > STATE_FORMAT)
    fail(
      `is from a newer version of gpt (format ${format}; this one reads ${STATE_FORMAT})`,
      'update gpt to read it',
    );
  if (format !== STATE_FORMAT) fail(`"format" is ${shownJson(format)}; this program reads ${STATE_FORMAT}`);
  checkFields(state, stateRules, fail);
  checkFields(state['health'] as Record<string, unknown>, healthRules, fail);
  return state as unknown as TrainerState;
}
