import { existsSync } from 'node:fs';
import { logPath, readLogs, type RunLogs } from '../checkpoint/logs.ts';
import { hintForMissingRun } from '../checkpoint/runs.ts';
import { UserError } from '../errors.ts';
import { runRecordOf, readRun, type RunRecord } from '../inspect/run-record.ts';
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { printable, warn } from './terminal.ts';

/** Reads the record of a run and warns of logs with damaged lines. */
export const openRun = (folder: string, base?: string): RunRecord => warned(readRun(folder, base));

/** The same for a run whose model is open. */
export const runOf = (model: ModelFolder): RunRecord => warned(runRecordOf(model));

/**
 * Reads the logs of a run.
 *
 * @throws UserError if it has none
 */
export function openLogs(folder: string): RunLogs {
  const logs = readLogs(folder);
  for (const what of logs.damage) warn(printable(what));
  if (logs.steps.length > 0 || logs.evaluations.length > 0) return logs;
  if (!existsSync(folder))
    throw new UserError('file-not-found', `there is no run ${folder}`, { hint: hintForMissingRun(folder) });
  const path = logPath(folder, 'metrics');
  throw new UserError('file-not-found', `${path} ${existsSync(path) ? 'has no steps' : 'does not exist'}`, {
    hint: 'metrics are written by gpt train, from its first step on',
  });
}

function warned(run: RunRecord): RunRecord {
  for (const what of run.logs.damage) warn(printable(what));
  return run;
}
