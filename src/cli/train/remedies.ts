/** Remedies for problems of a run; none of them suggests a flag that this run would refuse. */
import type { TrainPlan } from '../../train/train-handlers.ts';
import { FINE_TUNING } from '../../train/options.ts';
import { recipes } from '../../train/recipe.ts';

/** The parts of a plan that decide which flags may be suggested. */
export type Flags = Pick<TrainPlan, 'isResumed' | 'tokens'> & {
  readonly settings: Pick<
    TrainPlan['settings'],
    'initFrom' | 'valFile' | 'minFrequency' | 'vocabSize' | 'patience' | 'learningRate' | 'preset'
  >;
  readonly config: Pick<TrainPlan['config'], 'blockSize' | 'dropout'>;
  readonly tokenizer: { readonly kind: string };
  readonly corpus: Pick<TrainPlan['corpus'], 'files'>;
};

/** A higher dropout rate tends to make a small model underfit. */
const MOST_DROPOUT = 0.2;

/** Against learning the text by heart. */
export function againstOverfitting({ isResumed, settings, config, tokens }: Flags): string {
  const mayChangeShape = !isResumed && settings.initFrom === undefined;
  const patience = settings.patience > 0 || tokens.validation === 0 ? [] : ['--patience 8'];
  if (isResumed) return sentence(['a shorter run', ...patience]);
  return sentence([
    ...(mayChangeShape ? ['a smaller --n-embd or --n-layer'] : ['a shorter run']),
    ...(config.dropout < MOST_DROPOUT ? [`--dropout ${MOST_DROPOUT}`] : []),
    ...patience,
    'more text',
  ]);
}

/** Against a validation text that is shorter than a block. */
export function againstShortValidation({ isResumed, settings, config, tokens }: Flags): string {
  if (isResumed) return '';
  if (settings.valFile !== undefined) return 'A longer --val-file helps.';
  const all = tokens.train + tokens.validation;
  const needed = config.blockSize + 1;
  const percent = Math.ceil((100 * needed) / all) + 1;
  // Both parts have to hold a block.
  const isEnough = percent <= 50 && all * (1 - percent / 100) > needed;
  return sentence([...(isEnough ? [`--val-fraction ${percent / 100}`] : []), 'a --val-file', 'more text']);
}

/** Against tokens that the vocabulary lacks. */
export function againstUnknown({ isResumed, settings, tokenizer, corpus }: Flags): string {
  if (isResumed || settings.initFrom !== undefined)
    return 'The vocabulary is that of the trained model: a new model would have one of its own.';
  if (corpus.files.some((file) => file.endsWith('.bin')))
    return 'A token file has its vocabulary already: `gpt tokenize` makes another.';
  return sentence([
    ...(settings.minFrequency > 1 ? ['a lower --min-frequency'] : []),
    ...(Number.isFinite(settings.vocabSize) ? ['a larger --vocab-size'] : []),
    ...(tokenizer.kind === 'bpe' ? [] : ['--tokenizer bpe']),
  ]);
}

/** Against a learning rate that is too high. */
export function againstHighRate(flags: Flags): string {
  const lower = isAboveUsual(flags) ? `--learning-rate ${usualRate(flags)}` : 'a lower --learning-rate';
  return sentence([flags.isResumed ? `a new run with ${lower}` : lower]);
}

/** Whether the learning rate is higher than what trains models like this one. */
export const isAboveUsual = (flags: Flags): boolean =>
  flags.settings.learningRate > HIGHEST_USUAL * usualRate(flags);

/** The automatic choice goes up to 4 times the preset's rate for the smallest models. */
const HIGHEST_USUAL = 5;

const usualRate = ({ settings: { preset, initFrom } }: Flags): number =>
  recipes[preset].learningRate * (initFrom === undefined ? 1 : FINE_TUNING);

/** `A, b or c help.` */
function sentence(remedies: readonly string[]): string {
  const last = remedies.at(-1);
  if (last === undefined) return '';
  const text = remedies.length === 1 ? last : `${remedies.slice(0, -1).join(', ')} or ${last}`;
  return `${text[0].toUpperCase()}${text.slice(1)} ${remedies.length === 1 ? 'helps' : 'help'}.`;
}
