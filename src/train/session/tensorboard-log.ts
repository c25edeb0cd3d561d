import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { scalarRecord, startRecord, versionRecord, type Scalar } from '../../checkpoint/event-file.ts';
import { GrowingFile } from '../../checkpoint/growing-file.ts';
import { isSystemError } from '../../errors.ts';
import type { EventSink, TrainEvent } from '../events.ts';

const SECONDS_BETWEEN_WRITES = 1;

/**
 * Writes an event file for TensorBoard into the folder of a run, one for each invocation. It contains what metrics.jsonl does;
 * the groups are those of Hugging Face's Trainer.
 *
 * @param startStep steps done before; later ones in earlier files are repeated, and no longer count
 */
export function tensorboardLog(folder: string, startStep: number, tokensPerStep: number): EventSink {
  const file = new GrowingFile(newEventFile(folder));
  const now = (): number => Date.now() / 1000;
  file.add(versionRecord(now()));
  file.add(startRecord(now(), startStep + 1));
  let written = performance.now();
  /** A failure does not stop a run, unless it persists to the end. */
  const write = (isEnd: boolean): void => {
    written = performance.now();
    try {
      file.write(isEnd);
    } catch (error) {
      if (isEnd || !isSystemError(error)) throw error;
    }
  };
  return (event) => {
    if (event.type === 'rollback') file.add(startRecord(now(), event.to + 1));
    const found = scalarsOf(event, tokensPerStep);
    if (found !== undefined && found.scalars.length > 0)
      file.add(scalarRecord({ wallTime: now(), ...found }));
    const isDue = performance.now() - written > 1000 * SECONDS_BETWEEN_WRITES;
    if (event.type !== 'step' || isDue) write(event.type === 'end');
  };
}

/** A name as TensorFlow gives them, by which TensorBoard orders the files of a run. */
function newEventFile(folder: string): string {
  const time = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
  const host = hostname().replaceAll(/[^\w.-]/g, '-');
  for (let n = 0; ; n++) {
    const path = join(folder, `events.out.tfevents.${time}.${host}.${process.pid}.${n}`);
    if (!existsSync(path)) return path;
  }
}

function scalarsOf(
  event: TrainEvent,
  tokensPerStep: number,
): { readonly step: number; readonly scalars: readonly Scalar[] } | undefined {
  switch (event.type) {
    case 'step':
      return {
        step: event.step,
        scalars: named('train', {
          loss: event.loss,
          learning_rate: event.learningRate,
          grad_norm: event.gradNorm,
          tokens_per_second: tokensPerStep / event.seconds,
        }),
      };
    case 'evaluation':
      return {
        step: event.step,
        scalars: named('eval', {
          train_loss: event.trainLoss,
          val_loss: event.validationLoss,
          weights_val_loss: event.averaging?.weightsLoss,
          average_val_loss: event.averaging?.averageLoss,
        }),
      };
    case 'end':
      return {
        step: event.progress.bestStep,
        scalars: named('eval', { best_val_loss: event.validationLoss }),
      };
    case 'checkpoint':
    case 'rollback':
      return undefined;
    default:
      return event satisfies never;
  }
}

const named = (group: string, values: Readonly<Record<string, number | undefined>>): Scalar[] =>
  Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [{ tag: `${group}/${name}`, value }],
  );
