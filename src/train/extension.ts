/** The learning rate schedule of a run that is extended beyond its planned number of steps. */
import { DECAY_SHARE } from './options/learning-rate.ts';
import { decayProgress, hasDecayEnd, learningRateAt } from './schedule.ts';
import { scheduleOptions, resolveOptions, type Settings, type TrainModelOptions } from './settings.ts';

/** Length of a re-warm-up: a fraction of the extension, and an upper limit in steps unless the run's own warm-up is longer. */
const REWARM_SHARE = 0.05;
const MAX_REWARM_ITERS = 100;

export interface Extension {
  /** Steps before the extension. */
  readonly step: number;
  /** Total steps after the extension. */
  readonly maxIters: number;
  /**
   * `maxIters` is an estimate, corrected as the run proceeds (see run-time.ts). Every schedule then keeps the peak until
   * the last quarter, since a decay that has started fixes the end (the cool-down of an infinite schedule, Ibrahim et al.
   * 2024).
   */
  readonly isTimed: boolean;
  /** Options given with the extension; a decay among them is kept. */
  readonly given: Pick<TrainModelOptions, 'lrDecayIters' | 'lrDecayStart'>;
}

/**
 * Extends a run. If its decay has begun, the learning rate rises linearly from its present value to the peak and decays
 * again to the new end; at the rate it has decayed to, little would be learned (Ibrahim et al. 2024, "Simple and Scalable
 * Strategies to Continually Pre-train Large Language Models"). If not, only the end of the decay moves.
 *
 * A decay that --lr-decay-iters ends elsewhere than the run is kept, as is one given with the extension.
 *
 * @param options of the resumed run
 * @param before the stored settings
 */
export function extendRun(
  options: TrainModelOptions,
  before: Settings,
  { step, maxIters, isTimed, given }: Extension,
): TrainModelOptions {
  const longer = { ...options, maxIters };
  const { schedule, warmupIters } = resolveOptions(longer);
  const isDecayKept = given.lrDecayIters !== undefined || before.lrDecayIters !== before.maxIters;
  if (!hasDecayEnd(schedule) || isDecayKept) return longer;

  const hasDecayed = decayProgress(step, scheduleOptions(before)) > 0;
  const rewarm = hasDecayed
    ? {
        rewarmStart: step,
        rewarmIters: Math.min(
          Math.max(MAX_REWARM_ITERS, warmupIters),
          Math.ceil(REWARM_SHARE * (maxIters - step)),
        ),
        rewarmFrom: learningRateAt(step, scheduleOptions(before)),
        lrDecayFrom: 0,
      }
    : {};
  const { rewarmStart } = { ...before, ...rewarm };
  // The plateau is a fraction of the remaining steps in a timed run, and of the whole schedule otherwise.
  const origin = isTimed ? step : rewarmStart;
  const chosenStart =
    isTimed || schedule === 'wsd' ? origin + Math.floor((1 - DECAY_SHARE) * (maxIters - origin)) : step;
  const lrDecayStart = given.lrDecayStart ?? Math.max(chosenStart, step);
  return { ...longer, ...rewarm, lrDecayStart, lrDecayIters: maxIters };
}
