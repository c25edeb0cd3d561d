export const scheduleNames = ['cosine', 'linear', 'wsd', 'inverse-sqrt', 'constant'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

/** Whether a schedule decays to `minLearningRate` at `decayIters`. Others do not depend on the length of the run. */
export const hasDecayEnd = (schedule: ScheduleName): boolean =>
  schedule !== 'constant' && schedule !== 'inverse-sqrt';

/**
 * The shape of the decay of `wsd`, under the names of transformers' `get_wsd_schedule`: `1-sqrt` falls fast at first
 * (Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", section 3).
 */
export const decayTypes = ['linear', '1-sqrt'] as const;
export type DecayType = (typeof decayTypes)[number];

export interface ScheduleOptions {
  readonly schedule: ScheduleName;
  /** The peak. */
  readonly learningRate: number;
  /** At the end of the decay; unused by a schedule without one. */
  readonly minLearningRate: number;
  /** Steps of linear warm-up from almost 0. */
  readonly warmupIters: number;
  /** The step at which the decay has ended, usually the length of the run. */
  readonly decayIters: number;
  /** Start of the decay of `wsd`, and of others after a re-warm-up, which otherwise decay from the end of the warm-up on. */
  readonly decayStart: number;
  /** Of `wsd`; linear if absent. */
  readonly decayType?: DecayType | undefined;
  /** The step at which the re-warm-up of an extended run starts; 0: there is none. See extension.ts. */
  readonly rewarmStart?: number;
  readonly rewarmIters?: number;
  /** The learning rate that the re-warm-up starts from. */
  readonly rewarmFrom?: number;
  /** The share of the decay done before `decayStart`, if its end was moved during the decay; see run-time.ts. */
  readonly decayFrom?: number;
  /** Schedules of earlier steps, in order. Each applies to the steps before `until`. */
  readonly past?: readonly (Omit<ScheduleOptions, 'past'> & { readonly until: number })[];
}

/**
 * The learning rate of a step, counted from 0: linear warm-up, then cosine decay (Loshchilov & Hutter 2017), linear
 * decay, or none. The formula is nanoGPT's, so that its settings mean the same here.
 *
 * `inverse-sqrt` (Vaswani et al. 2017, equation 3, "Noam") falls as 1/√t from the peak at the end of the warm-up. With
 * t = step + 1 and w = warmupIters + 1, the whole schedule is peak·min(t/w, √(w/t)).
 *
 * `wsd` (warm-up, stable, decay) keeps the peak and decays at the end. It matches the loss of a cosine schedule
 * (Hägele et al. 2024), and the length of the run need not be known before the decay starts.
 *
 * An extended run warms up a second time, linearly from `rewarmFrom` (Ibrahim et al. 2024). Earlier steps have schedules in
 * `past`. Runs extended by an earlier version lack them; if a rollback repeats such steps, they use `rewarmFrom`.
 */
export function learningRateAt(step: number, options: ScheduleOptions): number {
  const past = options.past?.find(({ until }) => step < until);
  if (past !== undefined) return learningRateAt(step, past);
  const { schedule, learningRate, minLearningRate, decayIters } = options;
  const { rewarmStart: start = 0, rewarmFrom: from = 0 } = options;
  const warmupEnd = warmupEndOf(options);
  if (step < start) return from;
  if (step < warmupEnd) return from + ((learningRate - from) * (step - start + 1)) / (warmupEnd - start + 1);
  if (schedule === 'constant') return learningRate;
  if (schedule === 'inverse-sqrt') return learningRate * Math.sqrt((warmupEnd + 1) / (step + 1));
  if (step >= decayIters) return minLearningRate;
  if (step < decayStartOf(options)) return learningRate;
  const remaining = remainingRate(decayProgress(step, options), options);
  return minLearningRate + remaining * (learningRate - minLearningRate);
}

/** The fraction of the range between minimum and peak that remains at `progress` of the decay. */
function remainingRate(progress: number, { schedule, decayType }: ScheduleOptions): number {
  if (schedule === 'cosine') return 0.5 * (1 + Math.cos(Math.PI * progress));
  return schedule === 'wsd' && decayType === '1-sqrt' ? 1 - Math.sqrt(progress) : 1 - progress;
}

/** The usual ratio of the peak learning rate to the one at the end of the decay. */
export const usualPeakRatio = (schedule: ScheduleName): number => (schedule === 'wsd' ? 50 : 10);

/**
 * The learning rate of a step for parameters with their own peak: the same schedule, scaled. A schedule with a peak of 0 cannot
 * be scaled, so these parameters decay to the usual fraction of their peak. The final rate and that before a re-warm-up are
 * scaled as shares of the peak they belong to, because `learningRate` may have been lowered since.
 */
export function learningRateAtPeak(peak: number, step: number, options: ScheduleOptions): number {
  const { past = [], learningRate, minLearningRate, rewarmFrom = 0 } = options;
  const earlier = past.find(({ until }) => step < until);
  if (earlier !== undefined) return learningRateAtPeak(peak, step, earlier);
  if (learningRate === 0) {
    const least = peak / usualPeakRatio(options.schedule);
    return learningRateAt(step, { ...options, learningRate: peak, minLearningRate: least });
  }
  const peakBefore = past.at(-1)?.learningRate || learningRate;
  const shape = {
    ...options,
    minLearningRate: Math.min(minLearningRate, learningRate),
    rewarmFrom: learningRate * Math.min(rewarmFrom / peakBefore, 1),
  };
  return (peak / learningRate) * learningRateAt(step, shape);
}

/** The fraction of the decay done at a step of the present schedule, 0 … 1; 0 for a decay without an end. */
export function decayProgress(step: number, options: ScheduleOptions): number {
  const { decayIters, decayFrom = 0 } = options;
  const decayStart = decayStartOf(options);
  if (step <= decayStart) return decayFrom;
  if (step >= decayIters) return 1;
  return decayFrom + ((1 - decayFrom) * (step - decayStart)) / (decayIters - decayStart);
}

/** The first step after the warm-up, or after the re-warm-up of an extended run. */
const warmupEndOf = ({ warmupIters, rewarmStart = 0, rewarmIters = 0 }: ScheduleOptions): number =>
  rewarmStart > 0 ? rewarmStart + rewarmIters : warmupIters;

/** Whether the schedule keeps the peak up to `decayStart`. Others decay from the end of the warm-up. */
export const hasPlateau = ({
  schedule,
  rewarmStart = 0,
  decayFrom = 0,
}: Pick<ScheduleOptions, 'schedule' | 'rewarmStart' | 'decayFrom'>): boolean =>
  hasDecayEnd(schedule) && (schedule === 'wsd' || rewarmStart > 0 || decayFrom > 0);

/** The last step at the peak learning rate: the decay follows. Infinity without a decay that ends. */
export function decayStartOf(options: ScheduleOptions): number {
  if (!hasDecayEnd(options.schedule)) return Infinity;
  const warmupEnd = warmupEndOf(options);
  return hasPlateau(options) ? Math.max(options.decayStart, warmupEnd) : warmupEnd;
}
