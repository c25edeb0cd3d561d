/** What often goes wrong in training and can be seen: before the first step, and on the way. */
import type { TrainEvent } from '../../train/loop.ts';
import type { TrainPlan } from '../../train/train-model.ts';
import { unspacedNotice } from '../../tokenizer/unspaced-scripts.ts';
import { formatCount, formatNumber, formatPercent } from '../../format.ts';

type Planned = Pick<TrainPlan, 'parameters' | 'tokens' | 'epochs'> & {
  readonly settings: Pick<TrainPlan['settings'], 'minFrequency' | 'vocabSize' | 'initFrom' | 'valFile'>;
  readonly config: { readonly blockSize: number };
  readonly tokenizer: { readonly kind: string; readonly vocabulary: readonly string[] };
};

/** Parameters for each token of text above which a model is likely to learn the text by heart. */
const MOST_PARAMETERS_PER_TOKEN = 8;
/** Passes over the text that leave room for it: the first four teach about as much as new text would, and from sixteen on little is left (Muennighoff et al. 2023). */
const HARMLESS_EPOCHS = 4;
const MOST_UNKNOWN = 0.05;

/** What is worth saying about a run before it starts. */
export function warningsBefore({
  settings,
  parameters,
  tokens,
  epochs,
  config,
  tokenizer,
}: Planned): string[] {
  const warnings: string[] = [];
  if (parameters > MOST_PARAMETERS_PER_TOKEN * tokens.train && epochs > HARMLESS_EPOCHS)
    warnings.push(
      `${formatCount(parameters)} parameters are many for ${formatCount(tokens.train)} tokens read ${formatNumber(epochs)} times: the model will learn the text\n  by heart. A smaller --n-embd or --n-layer, --dropout 0.2 or more text help.`,
    );
  if (tokens.validation === 0)
    warnings.push('there is no validation text; the training text judges the model');
  else if (tokens.validation <= config.blockSize)
    warnings.push(
      `the validation text has ${formatNumber(tokens.validation)} tokens, less than a block of ${formatNumber(config.blockSize)}: its loss says little.\n  A larger --val-fraction or a --val-file helps.`,
    );
  const unknown = tokens.unknown / (tokens.train + tokens.validation);
  if (unknown > MOST_UNKNOWN)
    warnings.push(
      hasWholeVocabulary(settings)
        ? `${formatPercent(unknown)} of the tokens are <unk>, which the text names literally: the model learns it, and writes it only\n  with --allow-unk.`
        : `${formatPercent(unknown)} of the tokens are <unk>, which the model learns to expect. A lower --min-frequency${tokenizer.kind === 'word' ? ', a\n  larger --vocab-size or --tokenizer char help' : ' or a larger --vocab-size\n  helps'}.`,
    );
  const unspaced = unspacedNotice(tokenizer);
  if (unspaced !== undefined) warnings.push(unspaced);
  return warnings;
}

/** Whether every token of the text got into the vocabulary. */
const hasWholeVocabulary = ({ minFrequency, vocabSize, initFrom, valFile }: Planned['settings']): boolean =>
  minFrequency === 1 && vocabSize === Infinity && initFrom === undefined && valFile === undefined;

/** Evaluations in a row without a new best, and how much worse the validation loss must have become, to speak of overfitting. */
const [WORSE_EVALUATIONS, WORSE_BY] = [3, 0.01];

/** Watches evaluations for overfitting: the validation loss rises while the training loss goes on falling. Warns once. */
export function watchOverfitting(): (event: TrainEvent) => string | undefined {
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
    return (
      `overfitting since step ${formatNumber(best.step)}: the validation loss has risen from ${best.validationLoss.toFixed(3)} to ${validationLoss.toFixed(3)},\n` +
      `  the training loss has fallen from ${best.trainLoss.toFixed(3)} to ${trainLoss.toFixed(3)}. The best model is kept; more --dropout,\n` +
      `  a smaller model or more text help, and --patience stops here.`
    );
  };
}
