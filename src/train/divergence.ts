/**
 * Detects steps that must be skipped, and divergence.
 *
 * A step is skipped, without changing parameters and moments, if its loss or gradient is not finite or its loss is a spike,
 * far above the losses of recent steps. A single spike is usually caused by its batch. Several in a row mean that the
 * parameters are broken: training rolls back to the last good checkpoint and continues with a lower learning rate, as was
 * done by hand for PaLM (Chowdhery et al. 2022, section 5.1).
 *
 * All functions are pure, and their state is part of a checkpoint: a resumed run decides as an uninterrupted one would.
 */

import { median } from '../median.ts';

/** Number of recent losses that a new one is compared with. */
const WINDOW = 64;
/** Minimum number of losses for spike detection. */
const MIN_LOSSES = 20;
/**
 * A spike is this many standard deviations above the median and at least this many nats. Ordinary noise stays far below
 * both; see docs/speed.md.
 */
const DEVIATIONS = 12;
const LEAST_RISE = 1;
/** The standard deviation of a normal distribution in terms of its median absolute deviation. */
const SIGMA_OF_MAD = 1.4826;
/** Steps for which a spike that training has recovered from is remembered. */
const MEMORY = 1000;
/** Consecutive skipped steps that count as divergence. */
export const SKIPS_TO_DIVERGE = 5;
/** Rollbacks before training gives up, and the factor that each applies to the learning rate. */
export const MAX_ROLLBACKS = 3;
const ROLLBACK_FACTOR = 0.5;

export type Fault = 'loss not finite' | 'gradient not finite' | 'loss spike';

/** The state of the detection. */
export interface Health {
  /** Losses of the most recent steps that were not skipped, oldest first. */
  readonly recent: readonly number[];
  /**
   * Spikes that training has recovered from. Their batches were merely hard: losses up to that size are accepted from
   * then on, so that rare parts of a corpus are not excluded forever.
   */
  readonly overcome: readonly { readonly step: number; readonly loss: number }[];
  /** Current number of consecutive skipped steps, and their largest loss. */
  readonly skipped: number;
  readonly skippedLoss: number | undefined;
  /** Number of rollbacks, and their combined factor on the learning rate. */
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

/** The fault of a step; undefined if it has none. @param loss mean, in nats per token */
export function faultOf(health: Health, loss: number, gradNorm: number): Fault | undefined {
  if (!Number.isFinite(loss)) return 'loss not finite';
  if (!Number.isFinite(gradNorm)) return 'gradient not finite';
  return isSpike(health, loss) ? 'loss spike' : undefined;
}

function isSpike({ recent, overcome }: Health, loss: number): boolean {
  if (recent.length < MIN_LOSSES) return false;
  // Unless at least half of the losses are that far below, the median is not either. This nearly always avoids sorting.
  const farBelow = recent.filter((other) => other < loss - LEAST_RISE).length;
  if (2 * farBelow < recent.length) return false;
  const center = median(recent);
  const deviation = SIGMA_OF_MAD * median(recent.map((other) => Math.abs(other - center)));
  const limit = center + Math.max(LEAST_RISE, DEVIATIONS * deviation);
  return loss > Math.max(limit, ...overcome.map((spike) => spike.loss));
}

/**
 * A limit up to which a loss is not a spike, whatever the pending losses turn out to be. The median has its least value if all of
 * these are lower than the known losses, its greatest if all are higher, and deviations are at least the distances from that interval.
 *
 * @param pending number of steps after those of `health` whose losses are not known, none of which is skipped
 */
export function lossWithoutSpike({ recent }: Pick<Health, 'recent'>, pending: number): number {
  if (recent.length + pending < MIN_LOSSES) return Infinity;
  const known = recent.slice(Math.max(0, recent.length + pending - WINDOW));
  const unknown = (loss: number): number[] => Array.from({ length: pending }, () => loss);
  const least = median([...known, ...unknown(-Infinity)]);
  const greatest = median([...known, ...unknown(Infinity)]);
  const distances = known.map((loss) => Math.max(0, least - loss, loss - greatest));
  const deviation = SIGMA_OF_MAD * median([...distances, ...unknown(0)]);
  return least + Math.max(LEAST_RISE, DEVIATIONS * deviation);
}

/** After a step that was not skipped. @param step counted from 1 */
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

/** After a rollback: the state of the checkpoint, with the number of rollbacks and the learning rate updated. */
export const afterRollback = (there: Health, { rollbacks, learningRateFactor }: Health): Health => ({
  ...there,
  rollbacks: rollbacks + 1,
  learningRateFactor: learningRateFactor * ROLLBACK_FACTOR,
});
