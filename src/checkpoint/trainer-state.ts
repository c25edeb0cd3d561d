/**
 * gpt_trainer_state.json: the state of a run besides parameters and moments. `sha256` covers the file itself, with zeros in
 * place of its 64 digits; `files` holds a checksum of every other file of the checkpoint.
 */
import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { UserError, type ErrorCode } from '../errors.ts';
import { isJsonObject, parseJsonObject, shownJson } from '../json.ts';
import {
  checkFields,
  count,
  flag,
  listOf,
  number,
  object,
  optional,
  orNull,
  positive,
  text,
  type Rule,
  type Rules,
} from '../json-rules.ts';
import { trainCall } from '../messages.ts';
import { FILE_OF_RUN, readTextFile } from '../read-file.ts';
import { STATE } from './checkpoint-folders.ts';

export const STATE_FORMAT = 3;
/** The last format without checksums, stored as trainer_state.json. */
const LEGACY_FORMAT = 2;

export interface TrainerState {
  /** Version of this layout. */
  readonly format: number;
  /** Steps so far. */
  readonly step: number;
  /** Steps whose update was not skipped. */
  readonly updates: number;
  readonly best_step: number;
  /** Nats per token; null before the first evaluation. */
  readonly best_loss: number | null;
  /** The best model is an average of the weights. Absent means false. */
  readonly best_is_average?: boolean;
  readonly evaluations_without_improvement: number;
  /** Step of the checkpoint to roll back to after divergence; 0 is the start. */
  readonly good_step: number;
  /** The evaluation at this step was interrupted and comes first after resuming. Absent means false. */
  readonly evaluation_due?: boolean;
  /** All other files of the checkpoint have been deleted; see prune-run.ts. Absent means false. */
  readonly pruned?: boolean;
  readonly health: StoredHealth;
  readonly tokens_seen: number;
  readonly seed: number;
  readonly corpus_sha256: string;
  /** Of the validation file; null without one. */
  readonly validation_sha256: string | null;
  /** Build of the kernels; builds differ in rounding. */
  readonly engine: string;
  /** Number of ranks, 1 without mpirun; absent if the bits do not depend on it. */
  readonly ranks?: number;
  /** Lengths of the logs. */
  readonly log_bytes: { readonly metrics: number; readonly samples: number };
  /** All options, given or chosen. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Fingerprints of the checkpoint's other files, by name; undefined in a legacy state. */
  readonly files?: Readonly<Record<string, string>>;
}

/** State of the divergence detection; see src/train/divergence.ts. */
interface StoredHealth {
  readonly recent_losses: readonly number[];
  readonly overcome_spikes: readonly { readonly step: number; readonly loss: number }[];
  readonly skipped_in_a_row: number;
  /** The largest loss among the skipped steps; null if none was finite. */
  readonly skipped_loss: number | null;
  readonly rollbacks: number;
  readonly learning_rate_factor: number;
}

const spike: Rule = {
  is: (value) => isJsonObject(value) && count.is(value['step']) && number.is(value['loss']),
  expected: 'a step and a loss',
};

const DIGEST = /^[0-9a-f]{64}$/;
const NO_DIGEST = '0'.repeat(64);

const stateRules: Rules<TrainerState> = {
  format: count,
  step: count,
  updates: count,
  best_step: count,
  best_loss: orNull(number),
  best_is_average: optional(flag),
  evaluations_without_improvement: count,
  good_step: count,
  evaluation_due: optional(flag),
  pruned: optional(flag),
  health: object,
  tokens_seen: count,
  seed: count,
  corpus_sha256: text,
  validation_sha256: orNull(text),
  engine: text,
  ranks: optional(positive),
  log_bytes: {
    is: (value) => isJsonObject(value) && count.is(value['metrics']) && count.is(value['samples']),
    expected: 'the lengths of metrics and samples',
  },
  options: object,
  files: optional({
    is: (value) => isJsonObject(value) && Object.values(value).every((each) => typeof each === 'string'),
    expected: 'the checksums of files',
  }),
};

const healthRules: Rules<StoredHealth> = {
  recent_losses: listOf(number),
  overcome_spikes: listOf(spike),
  skipped_in_a_row: count,
  skipped_loss: orNull(number),
  rollbacks: count,
  learning_rate_factor: number,
};

/** In bytes. A state has a few kilobytes. */
const LARGEST = 1e6;

/** The content of the file, including its checksum. */
export function trainerStateText(state: Omit<TrainerState, 'format'>): string {
  const content = `${JSON.stringify({ format: STATE_FORMAT, sha256: NO_DIGEST, ...state }, undefined, 2)}\n`;
  return content.replace(NO_DIGEST, sha256(content));
}

/** @throws UserError naming file and field, if anything is invalid */
export function readTrainerState(path: string): TrainerState {
  const fail = (
    what: string,
    hint = 'the checkpoint is damaged or was changed by hand',
    code: ErrorCode = 'damaged-file',
  ): never => {
    throw new UserError(code, `${path}: ${what}`, { hint });
  };
  const content = readTextFile(path, LARGEST, FILE_OF_RUN);
  const { sha256: digest, ...state } = parseJsonObject(content, fail);
  const { format } = state;
  if (format === undefined && 'global_step' in state)
    fail(
      "was written by Hugging Face's Trainer",
      `its model can be used: ${trainCall(['corpus.txt'], { initFrom: dirname(path) })}`,
      'unsupported-format',
    );
  if (typeof format === 'number' && format > STATE_FORMAT)
    fail(
      `is from a newer version of gpt (format ${format}; this one reads ${STATE_FORMAT})`,
      'update gpt to read it',
      'newer-version',
    );
  const isLegacy = format === LEGACY_FORMAT && basename(path) !== STATE;
  if (!isLegacy && format !== STATE_FORMAT)
    fail(`"format" is ${shownJson(format)}; only ${STATE_FORMAT} can be read`);
  if (!isLegacy) {
    if (typeof digest !== 'string' || !DIGEST.test(digest)) return fail(`"sha256" is ${shownJson(digest)}`);
    if (sha256(content.replace(`"sha256": "${digest}"`, `"sha256": "${NO_DIGEST}"`)) !== digest)
      fail('its content does not match its checksum');
    if (state['files'] === undefined) fail('"files" is missing');
  }
  checkFields(state, stateRules, fail);
  checkFields(state['health'] as Record<string, unknown>, healthRules, fail);
  return state as unknown as TrainerState;
}

export const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');
