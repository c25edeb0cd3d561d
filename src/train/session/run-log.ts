import { evaluationFields } from '../../checkpoint/logs.ts';
import type { Run } from '../../checkpoint/run.ts';
import type { EventSink, TrainEvent } from '../events.ts';
import type { Settings } from '../settings.ts';
import type { MetricsLog } from './metrics-log.ts';

/**
 * Logs steps, evaluations and rollbacks; checkpoint/logs.ts describes the lines. The line that ends a run is written with
 * the final model, by checkpoint-writer.ts.
 */
export function runLog(run: Run, log: MetricsLog, settings: Settings, tokensPerStep: number): EventSink {
  const logSpeed = speedLog(run, settings, tokensPerStep);
  return (event, current) => {
    switch (event.type) {
      case 'step':
        logSpeed(event, current);
        log(
          {
            step: event.step,
            loss: event.loss,
            lr: event.learningRate,
            grad_norm: event.gradNorm,
            ...(event.skipped !== undefined && { skipped: event.skipped }),
          },
          current,
        );
        return;
      case 'evaluation':
        log(evaluationFields(event), current);
        return;
      case 'rollback':
        log(
          {
            step: event.from,
            rollback_to: event.to,
            rollbacks: event.progress.health.rollbacks,
            fault: event.cause.fault,
            tensor: event.cause.tensor,
          },
          current,
        );
        return;
      case 'checkpoint':
      case 'end':
    }
  };
}

/** Approximate number of lines in the speed log of a run. */
const SPEED_LINES = 200;

/** Times of the steps alone, for the speed of training; see speed.jsonl in checkpoint/logs.ts. */
function speedLog(run: Run, { maxIters: planned }: Settings, tokensPerStep: number) {
  const interval = Math.ceil(planned / SPEED_LINES);
  let seconds = 0;
  let steps = 0;
  return (event: TrainEvent & { readonly type: 'step' }, { maxIters }: Settings): void => {
    seconds += event.seconds;
    steps++;
    if (event.step % interval !== 0 && event.step !== maxIters) return;
    run.log('speed', { step: event.step, seconds, tokens: steps * tokensPerStep });
    seconds = steps = 0;
  };
}
