import { basename, join } from 'node:path';
import type { ResumedRun } from '../../checkpoint/run.ts';
import { isSystemError, UserError } from '../../errors.ts';
import { trainCall } from '../../messages.ts';
import { fieldsOf } from '../../model/architectures/registry.ts';
import type { Report } from '../../reporting.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { resolveOptions, type Settings, type TrainModelOptions } from '../settings.ts';
import { openStartingModel, type StartingModel } from '../starting-model.ts';
import { checkStoredOptions, optionsFromJson, resumedOptions } from '../stored-options.ts';
import { readTrainingData, type TrainingData } from '../training-data.ts';

/** The origin of a run: random parameters, a trained model, or a checkpoint. */
export type Origin = NewRun | ContinuedRun;

interface NewRun {
  readonly resumed?: undefined;
  /** The given options, completed by the starting model. */
  readonly options: TrainModelOptions;
  readonly start: StartingModel | undefined;
}

interface ContinuedRun {
  readonly resumed: ResumedRun;
  /** The stored options of the run, with the changes of this invocation. */
  readonly options: TrainModelOptions;
  /** The stored settings. */
  readonly before: Settings;
}

/** @throws UserError, UsageError if checkpoint, starting model and options conflict */
export function originOf(given: TrainModelOptions, resumed: ResumedRun | undefined): Origin {
  if (resumed === undefined) {
    const start = openStartingModel(given);
    return { options: start?.options ?? given, start };
  }
  const { checkpoint } = resumed;
  checkStoredOptions(checkpoint);
  const { options } = checkpoint.state;
  const { config } = checkpoint.model;
  const before = resolveOptions(optionsFromJson(options));
  const values = { ...before, ...fieldsOf(config.arch, config) };
  return { resumed, options: resumedOptions(options, given, values), before };
}

/** The text of a run as tokens. @param isNamed the command names the text; otherwise a resumed run uses the recorded paths */
export function readRunText(origin: Origin, isNamed: boolean, report: Report | undefined): TrainingData {
  const { options } = origin;
  return origin.resumed === undefined
    ? readTrainingData(options, origin.start?.tokenizer, report)
    : readTextAgain(options, origin.resumed.checkpoint.model.tokenizer, isNamed, report);
}

/** @throws UserError with the call to use if the files of a run have moved */
function readTextAgain(
  options: TrainModelOptions,
  tokenizer: Tokenizer,
  isNamed: boolean,
  report: Report | undefined,
): TrainingData {
  if (!isNamed && options.corpus.includes('-'))
    throw new UserError('text-unavailable', 'the text of this run came from stdin', {
      hint: `pipe the same text in again: ${trainCall(['-'], { resume: options.resume! })}`,
    });
  try {
    return readTrainingData(options, tokenizer, report);
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'ENOENT') throw error;
    throw new UserError(
      'text-unavailable',
      `${error.path ?? 'a file'}, part of this run's text, is missing`,
      {
        hint: `if it has moved, give its new path: ${withTextMoved(options, error.path)}`,
      },
    );
  }
}

/** The call that resumes a run whose text has moved, with a placeholder for its new folder. */
function withTextMoved({ corpus, valFile, resume }: TrainModelOptions, missing: string | undefined): string {
  const found = (path: string): string => (path === missing ? join('path', 'to', basename(path)) : path);
  return valFile !== undefined && valFile === missing
    ? trainCall([], { resume: resume!, valFile: found(valFile) })
    : trainCall(corpus.map(found), { resume: resume! });
}
