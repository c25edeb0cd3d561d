/** trainer_state.json: where a run stands. With parameters and moments, it is all that a run consists of. */
import { readFileSync } from 'node:fs';
import { UserError } from '../errors.ts';

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

/** What a field must be: `is` tells, `expected` says it. */
interface Rule {
  readonly is: (value: unknown) => boolean;
  readonly expected: string;
}
type Rules<T> = { readonly [F in keyof T]: Rule };

const count: Rule = {
  is: (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0,
  expected: 'a whole number',
};
const number: Rule = { is: (value) => Number.isFinite(value), expected: 'a number' };
const text: Rule = { is: (value) => typeof value === 'string', expected: 'a text' };
const object: Rule = { is: isObject, expected: 'an object' };
const orNull = ({ is, expected }: Rule): Rule => ({
  is: (value) => value === null || is(value),
  expected: `${expected} or null`,
});
const listOf = ({ is, expected }: Rule): Rule => ({
  is: (value) => Array.isArray(value) && value.every(is),
  expected: `a list, each of it ${expected}`,
});
const spike: Rule = {
  is: (value) => isObject(value) && count.is(value['step']) && number.is(value['loss']),
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
  health: object,
  tokens_seen: count,
  seed: count,
  corpus_sha256: text,
  validation_sha256: orNull(text),
  engine: text,
  log_bytes: {
    is: (value) => isObject(value) && count.is(value['metrics']) && count.is(value['samples']),
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws UserError that names the file and the field, if anything is not as it must be */
export function readTrainerState(path: string): TrainerState {
  const fail = (what: string): never => {
    throw new UserError(`${path}: ${what}`, { hint: 'the checkpoint is damaged or from another version' });
  };
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return fail('is not JSON');
    throw error;
  }
  if (!isObject(json)) return fail('is not a JSON object');
  const state = json;
  if (state['format'] !== STATE_FORMAT)
    fail(`"format" is ${JSON.stringify(state['format'])}; this program reads ${STATE_FORMAT}`);
  const check = (values: Record<string, unknown>, rules: Readonly<Record<string, Rule>>): void => {
    for (const [field, { is, expected }] of Object.entries(rules))
      if (!is(values[field])) fail(`"${field}" is ${JSON.stringify(values[field])}, not ${expected}`);
  };
  check(state, stateRules);
  check(state['health'] as Record<string, unknown>, healthRules);
  return state as unknown as TrainerState;
}
