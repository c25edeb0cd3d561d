/** A run's progress as gpt_trainer_state.json holds it. */
import type { TrainerState } from '../checkpoint/trainer-state.ts';
import type { Progress } from './progress.ts';

/** JSON has no infinity: the best loss is null before the first evaluation. */
export function progressToState(progress: Progress) {
  const { step, updates, bestStep, bestLoss, isBestAverage, worse, goodStep, evaluationDue, health } =
    progress;
  return {
    step,
    updates,
    best_step: bestStep,
    best_loss: Number.isFinite(bestLoss) ? bestLoss : null,
    ...(isBestAverage && { best_is_average: true }),
    evaluations_without_improvement: worse,
    good_step: goodStep,
    ...(evaluationDue && { evaluation_due: true }),
    health: {
      recent_losses: health.recent,
      overcome_spikes: health.overcome,
      skipped_in_a_row: health.skipped,
      skipped_loss: health.skippedLoss ?? null,
      rollbacks: health.rollbacks,
      learning_rate_factor: health.learningRateFactor,
    },
  };
}

/** The inverse of `progressToState`. */
export function progressFromState({ health, ...state }: TrainerState): Progress {
  return {
    step: state.step,
    updates: state.updates,
    bestStep: state.best_step,
    bestLoss: state.best_loss ?? Infinity,
    isBestAverage: state.best_is_average === true,
    worse: state.evaluations_without_improvement,
    goodStep: state.good_step,
    evaluationDue: state.evaluation_due === true,
    health: {
      recent: health.recent_losses,
      overcome: health.overcome_spikes,
      skipped: health.skipped_in_a_row,
      skippedLoss: health.skipped_loss ?? undefined,
      rollbacks: health.rollbacks,
      learningRateFactor: health.learning_rate_factor,
    },
  };
}
