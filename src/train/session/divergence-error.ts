import { UserError } from '../../errors.ts';
import { optionName, optionValues, trainCall } from '../../messages.ts';
import type { DivergenceCause } from '../events.ts';
import type { Progress } from '../progress.ts';
import { usualPeak } from '../options/learning-rate.ts';
import { usualMuonPeak } from '../options/optimizer.ts';
import type { Settings } from '../settings.ts';

/** Suggested learning rate, as a fraction of the one that failed. Rollbacks have halved it already, so half is not enough. */
const AFTER_DIVERGENCE = 0.1;

/** The error that ends a diverged run: the fault, and how to continue. */
export function divergenceError(
  folder: string,
  { step, bestStep, goodStep, health }: Progress,
  { fault, tensor }: DivergenceCause,
  settings: Settings,
): UserError {
  const { learningRate, optimizer, muonLearningRate } = settings;
  const lowered = (rate: number, usual: number): number =>
    Number(Math.min(AFTER_DIVERGENCE * rate, usual).toPrecision(2));
  const lower = {
    learningRate: lowered(learningRate, usualPeak(settings)),
    // The matrices that Muon updates have a rate of their own.
    ...(optimizer === 'muon' && { muonLearningRate: lowered(muonLearningRate, usualMuonPeak(settings)) }),
  };
  const best = bestStep > 0 ? `the best model, from step ${bestStep}, is in ${folder}; ` : '';
  const next =
    goodStep > 0
      ? `resume from step ${goodStep} with a lower learning rate: ${trainCall([], { resume: folder, force: true, ...lower })}`
      : `start again with ${optionValues(lower)} or a longer ${optionName('warmupIters')}`;
  return new UserError(
    'training-diverged',
    `training diverged at step ${step}, after ${health.rollbacks} rollbacks: ${fault}; ${tensor}`,
    { hint: best + next },
  );
}
