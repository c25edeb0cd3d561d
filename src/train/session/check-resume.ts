import type { ResumedRun } from '../../checkpoint/run.ts';
import { UsageError, UserError } from '../../errors.ts';
import { optionName } from '../../messages.ts';
import type { TextChange } from '../new-text.ts';
import type { Settings } from '../settings.ts';
import type { TrainingData } from '../training-data.ts';

/** @throws UsageError if the run is complete, UserError if its text has changed and `force` is not set */
export function checkResume(
  { checkpoint: { state }, ended }: ResumedRun,
  data: TrainingData,
  settings: Settings,
  { force, change }: { readonly force: boolean; readonly change: TextChange | undefined },
): void {
  const { step } = state;
  if (step > settings.maxIters || (ended !== undefined && step === settings.maxIters))
    throw new UsageError('nothing-to-do', `the run has already completed ${step} steps`, {
      hint: `use ${optionName('minutes')}, or a larger ${optionName('maxIters')}, to continue`,
    });
  const { patience } = settings;
  const { evaluations_without_improvement: worse } = state;
  if (ended === 'stopped early' && patience > 0 && worse >= patience && !(force && change === 'text'))
    throw new UsageError(
      'nothing-to-do',
      `the run stopped early, after ${worse} evaluations without improvement`,
      {
        hint: `to continue, use a larger ${optionName('patience')}, or ${optionName('patience')} 0 for no limit`,
      },
    );
  if (force) return;
  const hint = `pass the original files, or use ${optionName('force')} to continue with these`;
  const { corpus } = data;
  if (state.corpus_sha256 !== corpus.sha256)
    throw new UserError(
      'text-changed',
      `${corpus.paths.join(', ')} is not the text this run was trained on`,
      {
        hint:
          corpus.files.length === 1
            ? hint
            : `${hint}; earlier versions read folders in a different order and put no line break between files`,
      },
    );
  if (state.validation_sha256 !== (data.validationSha256 ?? null))
    throw new UserError(
      'text-changed',
      settings.valFile === undefined
        ? `this run was validated on a ${optionName('valFile')}, but none is given`
        : `${settings.valFile} is not the text this run was validated on`,
      { hint },
    );
}
