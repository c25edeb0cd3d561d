/**
 * When a step must not be taken, and when training has gone astray.
 *
 * A step is skipped, parameters and moments untouched, if its loss or gradient is not finite or its loss is a spike: far
 * above what the last steps' losses make likely. One such step is as a rule the fault of its batch. Several in a row mean
 * that the parameters are broken: then training returns to its last good checkpoint and goes on from there with a lower
 * learning rate (as PaLM's did by hand: Chowdhery et al. 2022, section 5.1).
 *
 * Everything here is a pure function of losses, and what it remembers is saved with a checkpoint: a run that goes on
 * decides as one that was never stopped.
 */

/** Losses to judge the next one by. */
const WINDOW = 64;
/** Fewer are too few to judge by. */
const FEWEST = 20;
/**
 * A spike is this many standard deviations above the median and at least this many nats. Ordinary noise stays far below
 * both; see docs/speed.md.
 */
const DEVIATIONS = 12;
const LEAST_RISE = 1;
/** The standard deviation of a normal distribution in terms of its median absolute deviation. */
const SIGMA_OF_MAD = 1.4826;
/** How long a spike that training got over is remembered, in steps. */
const MEMORY = 1000;
/** Steps skipped one after the other that mean divergence. */
export const SKIPS_TO_DIVERGE = 5;
/** How often training returns to a checkpoint before it gives up, and what the learning rate is multiplied by each time. */
export const MOST_ROLLBACKS = 3;
const ROLLBACK_FACTOR = 0.5;

export type Fault = 'loss not finite' | 'gradient not finite' | 'loss spike';

/** What is remembered of the course of a training. */
export interface Health {
  /** Losses of the last steps that were taken, oldest first. */
  readonly recent: readonly number[];
  /**
   * Spikes after which training went on as before. Their batches were hard, nothing was broken: a loss that is no larger
   * passes from then on, so that rare pieces of a corpus are not left out for ever.
   */
  readonly overcome: readonly { readonly step: number; readonly loss: number }[];
  /** Steps skipped one after the other up to now, and the largest loss among them. */
  readonly skipped: number;
  readonly skippedLoss: number | undefined;
  /** Times that training has returned to a checkpoint, and what the schedule's learning rate is multiplied by since. */
  readonly rollbacks: number;
  readonly learningRateFactor: number;
}

export const freshHealth: Health = {
  recent: [],
  overcome: [],
  skipped: 0,
  skippedLoss: undefined,
  rollbacks: 0,
  learningRateFactor: 1,
};

/** What is wrong with a step, if anything is. @param loss mean, in nats per token */
export function faultOf(health: Health, loss: number, gradNorm: number): Fault | undefined {
  if (!Number.isFinite(loss)) return 'loss not finite';
  if (!Number.isFinite(gradNorm)) return 'gradient not finite';
  return isSpike(health, loss) ? 'loss spike' : undefined;
}

function isSpike({ recent, overcome }: Health, loss: number): boolean {
  if (recent.length < FEWEST) return false;
  // Unless half of the losses are that far below, the median is not: as good as always, and found out without sorting.
  const farBelow = recent.filter((other) => other < loss - LEAST_RISE).length;
  if (2 * farBelow < recent.length) return false;
  const center = median(recent);
  const deviation = SIGMA_OF_MAD * median(recent.map((other) => Math.abs(other - center)));
  const limit = center + Math.max(LEAST_RISE, DEVIATIONS * deviation);
  return loss > Math.max(limit, ...overcome.map((spike) => spike.loss));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** After a step that was taken. @param step counted from 1 */
export function afterStep(health: Health, step: number, loss: number): Health {
  const spike = health.skippedLoss === undefined ? [] : [{ step, loss: health.skippedLoss }];
  const remembered = health.overcome.filter((old) => old.step > step - MEMORY);
  return {
    ...health,
    recent: [...health.recent.slice(-(WINDOW - 1)), loss],
    overcome: [...remembered, ...spike],
    skipped: 0,
    skippedLoss: undefined,
  };
}

/** After a step that was skipped. */
export function afterSkip(health: Health, loss: number): Health {
  const known = Number.isFinite(loss) ? Math.max(loss, health.skippedLoss ?? -Infinity) : health.skippedLoss;
  return { ...health, skipped: health.skipped + 1, skippedLoss: known };
}

/** After a return to a checkpoint: what was known there, but for the count and the learning rate. */
export const afterRollback = (there: Health, { rollbacks, learningRateFactor }: Health): Health => ({
  ...there,
  rollbacks: rollbacks + 1,
  learningRateFactor: learningRateFactor * ROLLBACK_FACTOR,
});
