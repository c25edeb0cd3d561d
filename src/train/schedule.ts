export const scheduleNames = ['cosine', 'linear', 'wsd', 'constant'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

export interface ScheduleOptions {
  readonly schedule: ScheduleName;
  readonly learningRate: number;
  /** Where the decay ends; unused by `constant`. */
  readonly minLearningRate: number;
  /** Steps of linear warm-up from almost 0. */
  readonly warmupIters: number;
  /** The step at which the decay has ended: as a rule the run's length. */
  readonly decayIters: number;
  /** The step at which `wsd` starts to decay; the others start where the warm-up ends. */
  readonly decayStart: number;
}

/**
 * The learning rate of a step, counted from 0: linear warm-up, then half a cosine (Loshchilov & Hutter 2017), a straight
 * line, or nothing. The same formula as nanoGPT's, so that its settings mean the same here.
 *
 * `wsd` (warm-up, stable, decay) stays at its highest and comes down straight at the end. It reaches what a cosine does
 * (Hägele et al. 2024), and the run's length need not be known before the decay starts.
 */
export function learningRateAt(step: number, options: ScheduleOptions): number {
  const { schedule, learningRate, minLearningRate, warmupIters, decayIters } = options;
  const decayStart = schedule === 'wsd' ? Math.max(options.decayStart, warmupIters) : warmupIters;
  if (step < warmupIters) return (learningRate * (step + 1)) / (warmupIters + 1);
  if (schedule === 'constant') return learningRate;
  if (step >= decayIters) return minLearningRate;
  if (step < decayStart) return learningRate;
  const progress = (step - decayStart) / (decayIters - decayStart);
  const remaining = schedule === 'cosine' ? 0.5 * (1 + Math.cos(Math.PI * progress)) : 1 - progress;
  return minLearningRate + remaining * (learningRate - minLearningRate);
}
