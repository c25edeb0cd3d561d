/** trainer_state.json: where a run stands. With parameters and moments, it is all that a run consists of. */
import { readFileSync } from 'node:fs';
import { UserError } from '../errors.ts';

export const STATE_FORMAT = 1;

export interface TrainerState {
  /** Of this file's layout. */
  readonly format: number;
  /** Steps done. */
  readonly step: number;
  readonly best_step: number;
  /** Nats per token; null before the first evaluation. */
  readonly best_loss: number | null;
  /** Evaluations since the best one. */
  readonly evaluations_without_improvement: number;
  readonly tokens_seen: number;
  readonly seed: number;
  readonly corpus_sha256: string;
  /** All options of the run, given or chosen. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** @throws UserError that names the file and the field, if anything is not as it must be */
export function readTrainerState(path: string): TrainerState {
  const fail = (what: string): never => {
    throw new UserError(`${path}: ${what}`, { hint: 'the checkpoint is damaged or from another version' });
  };
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SyntaxError) return fail('is not JSON');
    throw error;
  }
  if (typeof json !== 'object' || json === null) return fail('is not a JSON object');
  if (json['format'] !== STATE_FORMAT)
    fail(`"format" is ${JSON.stringify(json['format'])}; this program reads ${STATE_FORMAT}`);
  for (const field of ['step', 'best_step', 'evaluations_without_improvement', 'tokens_seen', 'seed']) {
    const value = json[field];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      fail(`"${field}" is ${JSON.stringify(value)}, not a whole number`);
  }
  const loss = json['best_loss'];
  if (loss !== null && (typeof loss !== 'number' || !Number.isFinite(loss)))
    fail(`"best_loss" is ${JSON.stringify(loss)}, not a number`);
  if (typeof json['corpus_sha256'] !== 'string') fail('"corpus_sha256" is missing');
  if (typeof json['options'] !== 'object' || json['options'] === null) fail('"options" is missing');
  return json as unknown as TrainerState;
}
