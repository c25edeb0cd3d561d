/** Warnings about common problems, before the first step and during training. */
import { inTerms } from '../../messages.ts';
import { commandLineTerms } from '../command-line-terms.ts';
import type { Caution } from '../../train/cautions.ts';
import type { TrainEvent } from '../../train/events.ts';
import { isLikelyMemorized } from '../../train/memorizing.ts';
import type { RunDescription } from '../../train/train-handlers.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import {
  againstHighRate,
  againstOverfitting,
  againstShortValidation,
  againstUnknown,
  endsAbovePeak,
  type Flags,
  highestRate,
  isAboveUsual,
  mayGrow,
} from './remedies.ts';
import { flagOf } from '../../flag-name.ts';
import { againstCrlf, AGAINST_SORTED, SORTED } from '../corpus-summary.ts';
import { printable } from '../terminal.ts';
import { unspacedNotice } from '../unspaced-notice.ts';
import { formatCount, formatCountOf, formatNumber, formatPercent } from '../../format.ts';

type UpcomingRun = Flags &
  Pick<RunDescription, 'trainedParameters' | 'epochs' | 'isModelChosen' | 'cautions'> & {
    readonly corpus: Pick<RunDescription['corpus'], 'crlf' | 'isSorted' | 'files'>;
    readonly tokenizer: Pick<Tokenizer, 'unspacedScript'>;
  };

const MAX_UNKNOWN = 0.05;

/** The warning about an option that does not do what its help says. */
export const cautionWarning = ({ option, why }: Caution): string =>
  `${flagOf(option)} ${inTerms(why, commandLineTerms)}`;

/** Warnings that do not depend on the text. */
export function warningsAboutSettings(
  run: Pick<Flags, 'settings' | 'isResumed'> & Pick<RunDescription, 'cautions'>,
): string[] {
  const { minLr, learningRate } = run.settings;
  const warnings = run.cautions.map(cautionWarning);
  if (!endsAbovePeak(run)) return warnings;
  return [
    ...warnings,
    warning(
      `--min-lr ${minLr} is above the learning rate of ${learningRate}, which rises to it.`,
      run.isResumed ? '' : 'A lower --min-lr would help.',
    ),
  ];
}

/** Warnings before a run starts. */
export function warningsBefore(run: UpcomingRun): string[] {
  const { settings, trainedParameters: parameters, tokens, epochs, config, tokenizer } = run;
  const warnings = warningsAboutSettings(run);
  if (isLikelyMemorized(parameters, tokens.train, epochs) && !run.isModelChosen)
    warnings.push(
      warning(
        `${formatCount(parameters)} parameters are too many for ${formatCount(tokens.train)} tokens and ${formatNumber(epochs)} epochs; the model will memorize the text.`,
        againstOverfitting(run),
      ),
    );
  if (tokens.validation === 0)
    warnings.push('there is no validation split; the best model is chosen by its training loss');
  else if (tokens.validation <= config.blockSize)
    warnings.push(
      warning(
        `the validation text has ${formatCountOf(tokens.validation, 'token')}, and a window with the block size of ${formatNumber(config.blockSize)} needs ${formatNumber(config.blockSize + 1)}; its loss is unreliable.`,
        againstShortValidation(run),
      ),
    );
  if (run.corpus.crlf)
    warnings.push(
      warning(
        'the text has Windows line ends (\\r\\n), which are kept: \\r is a token of its own.',
        run.isResumed ? '' : printable(againstCrlf(run.corpus.files)),
      ),
    );
  if (run.corpus.isSorted && settings.valFile === undefined && tokens.validation > 0)
    warnings.push(warning(SORTED, AGAINST_SORTED));
  warnings.push(...aboutUnknown(run));
  const unspaced = hasOwnTokenizer(run) ? unspacedNotice(tokenizer) : undefined;
  if (unspaced !== undefined) warnings.push(unspaced);
  return warnings;
}

/** A new vocabulary may omit rare tokens; that of a starting model lacks what its training text lacked. */
function aboutUnknown(run: UpcomingRun): string[] {
  const { tokens, settings } = run;
  if (hasWholeVocabulary(run)) {
    const { unknownInValidation = 0 } = tokens;
    const literal = (tokens.unknown - unknownInValidation) / tokens.train; // only a literal <unk> is unknown there
    const share = unknownInValidation / tokens.validation;
    if (share - literal > MAX_UNKNOWN)
      return [
        warning(
          `${formatPercent(share)} of the validation tokens are <unk>: the text to train on lacks what they stand for, so their loss stays high.`,
          againstUnknown(run),
        ),
      ];
    if (literal === 0) return [];
  }
  const unknown = tokens.unknown / (tokens.train + tokens.validation);
  if (unknown <= MAX_UNKNOWN && !(tokens.unknown > 0 && mayGrow(run) && !settings.growVocab)) return [];
  const share =
    unknown > MAX_UNKNOWN
      ? `${formatPercent(unknown)} of the tokens are`
      : `${formatCountOf(tokens.unknown, 'token')} of the text ${tokens.unknown === 1 ? 'is' : 'are'}`;
  return hasWholeVocabulary(run)
    ? [
        warning(
          `${share} <unk>, which occurs literally in the text; the model learns it, but samples it only with --allow-unk.`,
        ),
      ]
    : [warning(`${share} <unk>, which the model learns to expect.`, againstUnknown(run))];
}

/** Whether the vocabulary is known to cover the text to train on. A resumed run may have another text. */
function hasWholeVocabulary({ isResumed, settings, tokenizer }: UpcomingRun): boolean {
  const { minFrequency, vocabSize, initFrom } = settings;
  const isComplete =
    tokenizer.hasCharacterFallback === true || (minFrequency === 1 && vocabSize === Infinity);
  return isComplete && !isResumed && initFrom === undefined;
}

/** Whether the tokenizer is built for this run and could be another kind. */
const hasOwnTokenizer = ({ isResumed, settings }: Flags): boolean =>
  !isResumed && settings.initFrom === undefined;

/** Overfitting: this many evaluations in a row without a new best, and a validation loss higher by this factor. */
const WORSE_EVALUATIONS = 3;
export const WORSE_BY = 0.01;
/** In nats above the first step's loss; smaller increases may be noise in steps of few tokens. */
const CLEARLY_WORSE = 0.5;

/** Watches a run for overfitting, reported once, and for a training loss that has not decreased, reported at the end. */
export function watchTraining(
  run: Flags & Pick<RunDescription, 'uniformLoss'>,
): (event: TrainEvent) => string | undefined {
  const watches = [watchOverfitting(run), watchFailure(run)];
  return (event) => watches.map((watch) => watch(event)).find((found) => found !== undefined);
}

/** The validation loss rises while the training loss keeps falling. */
function watchOverfitting(run: Flags): (event: TrainEvent) => string | undefined {
  let best: { step: number; trainLoss: number; validationLoss: number } | undefined;
  let worse = 0;
  let warned = false;
  return (event) => {
    if (event.type === 'rollback') worse = 0;
    if (event.type !== 'evaluation') return undefined;
    const { step, trainLoss, validationLoss } = event;
    if (event.best) {
      best = { step, trainLoss, validationLoss };
      worse = 0;
      return undefined;
    }
    worse++;
    if (
      warned ||
      best === undefined ||
      worse < WORSE_EVALUATIONS ||
      validationLoss < best.validationLoss * (1 + WORSE_BY) ||
      trainLoss >= best.trainLoss
    )
      return undefined;
    warned = true;
    return warning(
      `overfitting since step ${formatNumber(best.step)}: the validation loss has risen from ${best.validationLoss.toFixed(3)} to ${validationLoss.toFixed(3)}, ` +
        `the training loss has fallen from ${best.trainLoss.toFixed(3)} to ${trainLoss.toFixed(3)}. The best model is kept.`,
      againstOverfitting(run),
    );
  };
}

/** Training has ended with a loss above that of a uniform guess, or clearly above that of its start. */
function watchFailure(
  run: Flags & Pick<RunDescription, 'uniformLoss'>,
): (event: TrainEvent) => string | undefined {
  let first: number | undefined;
  let last: number | undefined;
  return (event) => {
    if (event.type === 'step' && Number.isFinite(event.loss)) first ??= event.loss;
    if (event.type === 'evaluation') last = event.trainLoss;
    if (event.type !== 'end' || first === undefined || last === undefined) return undefined;
    if (event.reason !== 'finished' && event.reason !== 'stopped early') return undefined;
    const isWorse = last > first + CLEARLY_WORSE;
    const isGuessing = last >= run.uniformLoss && isAboveUsual(run);
    if (!isWorse && !isGuessing) return undefined;
    const than = isWorse
      ? `above the ${first.toFixed(3)} of its first step`
      : `above the ${run.uniformLoss.toFixed(3)} of guessing`;
    const { rate, scope } = highestRate(run);
    return warning(
      `the training loss ended at ${last.toFixed(3)}, ${than}: the model has not learned anything. The learning rate of ${rate}${scope} is too high.`,
      againstHighRate(run),
    );
  };
}

const warning = (fault: string, remedy = ''): string => `${fault} ${remedy}`.trim();
