import type { LogEntry } from '../../checkpoint/logs.ts';
import type { Run } from '../../checkpoint/run.ts';
import { tokensBefore } from '../sequences.ts';
import type { Settings } from '../settings.ts';

/** Appends a line to metrics.jsonl, with the tokens and the time that the run has taken so far. */
export type MetricsLog = (entry: LogEntry, settings: Settings) => void;

/** The time of this invocation counts from here. */
export function metricsLog(run: Run): MetricsLog {
  const start = performance.now();
  return (entry, settings) =>
    run.log(
      'metrics',
      { ...entry, tokens_seen: tokensBefore(entry.step, settings) },
      run.elapsedBefore + (performance.now() - start) / 1000,
    );
}
