import { runRecordOf, readRun, type RunRecord } from '../inspect/run-record.ts';
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { printable, warn } from './terminal.ts';

/** Reads the record of a run and warns of logs with damaged lines. */
export const openRun = (folder: string): RunRecord => warned(readRun(folder));

/** The same for a run whose model is open. */
export const runOf = (model: ModelFolder): RunRecord => warned(runRecordOf(model));

function warned(run: RunRecord): RunRecord {
  for (const what of run.logs.damage) warn(printable(what));
  return run;
}
