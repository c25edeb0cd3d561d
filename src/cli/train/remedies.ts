/** Remedies for problems of a run. None suggests a flag that the run would reject. */
import { isTokenFilePath } from '../../data/token-file.ts';
import type { RunDescription } from '../../train/train-handlers.ts';
import { usualPeak } from '../../train/options/learning-rate.ts';
import { usualMuonPeak } from '../../train/options/optimizer.ts';
import { hasDecayEnd } from '../../train/schedule.ts';

/** The parts of a run's description that determine which flags can be suggested. */
export type Flags = Pick<RunDescription, 'isResumed' | 'tokens'> & {
  readonly settings: Pick<
    RunDescription['settings'],
    | 'initFrom'
    | 'loraRank'
    | 'loraDropout'
    | 'valFile'
    | 'minFrequency'
    | 'growVocab'
    | 'vocabSize'
    | 'patience'
    | 'evalInterval'
    | 'learningRate'
    | 'minLr'
    | 'schedule'
    | 'preset'
    | 'optimizer'
    | 'muonLearningRate'
  >;
  readonly config: Pick<RunDescription['config'], 'nLayer' | 'nEmbd' | 'blockSize' | 'dropout'>;
  readonly tokenizer: { readonly kind: string; readonly hasCharacterFallback?: boolean };
  readonly corpus: Pick<RunDescription['corpus'], 'files'>;
};

/** More dropout tends to make a small model underfit. */
const MAX_DROPOUT = 0.2;

/** Against memorizing the text. */
export function againstOverfitting({ isResumed, settings, config, tokens }: Flags): string {
  const mayChangeShape = !isResumed && settings.initFrom === undefined;
  const isWatched = tokens.validation > 0 && settings.evalInterval > 0;
  const patience = isWatched && settings.patience === 0 ? ['--patience 8'] : [];
  if (isResumed) return sentence(['a shorter run', ...patience]);
  return sentence([
    ...(mayChangeShape
      ? [config.nLayer > 1 ? 'a smaller --n-embd or --n-layer' : 'a smaller --n-embd']
      : ['a shorter run']),
    ...moreDropout(settings, config),
    ...patience,
    'more text',
  ]);
}

/** Adapters have a dropout of their own. */
function moreDropout(
  { loraRank, loraDropout = 0 }: Flags['settings'],
  { dropout }: Flags['config'],
): string[] {
  const [flag, value] = loraRank === undefined ? ['--dropout', dropout] : ['--lora-dropout', loraDropout];
  return value < MAX_DROPOUT ? [`${flag} ${MAX_DROPOUT}`] : [];
}

/** Remedies for a model no better than an n-gram baseline. @param isOverfitted whether more training made it worse */
export const againstCounting = (flags: Flags, isOverfitted: boolean): string =>
  isOverfitted ? againstOverfitting(flags) : sentence(['a longer run', 'more text']);

/** Against a validation text shorter than the context length. */
export function againstShortValidation({ isResumed, settings, config, tokens }: Flags): string {
  if (isResumed) return '';
  if (settings.valFile !== undefined) return 'A longer --val-file would help.';
  const all = tokens.train + tokens.validation;
  const needed = config.blockSize + 1;
  const percent = Math.ceil((100 * needed) / all) + 1;
  // Both splits must hold a window.
  const isEnough = percent <= 50 && all * (1 - percent / 100) > needed;
  return sentence([...(isEnough ? [`--val-fraction ${percent / 100}`] : []), 'a --val-file', 'more text']);
}

/** Against tokens outside the vocabulary. */
export function againstUnknown({ isResumed, settings, tokenizer, corpus }: Flags): string {
  if (mayGrow({ isResumed, settings, tokenizer, corpus }))
    return settings.growVocab
      ? sentence((settings.minFrequency ?? 1) > 1 ? ['a lower --min-frequency'] : [])
      : '--grow-vocab adds the missing tokens.';
  if (!isResumed && settings.loraRank !== undefined && tokenizer.kind !== 'bpe')
    return 'Without --lora-rank, --grow-vocab adds the missing tokens.';
  if (isResumed || settings.initFrom !== undefined)
    return 'The vocabulary is that of the trained model; only a new model can have another.';
  if (corpus.files.some(isTokenFilePath))
    return 'The vocabulary of a token file is fixed; `gpt tokenize` creates another.';
  if (tokenizer.hasCharacterFallback === true) return sentence(['--tokenizer bpe']);
  return sentence([
    // A vocabulary of limited size may be too small for all characters.
    ...(tokenizer.kind === 'word' && !Number.isFinite(settings.vocabSize) ? ['--rare-words spell'] : []),
    ...((settings.minFrequency ?? 1) > 1 ? ['a lower --min-frequency'] : []),
    ...(Number.isFinite(settings.vocabSize) ? ['a larger --vocab-size'] : []),
    ...(tokenizer.kind === 'bpe' ? [] : ['--tokenizer bpe']),
  ]);
}

/** The vocabulary of a starting model may grow, unless only adapters are trained or the tokens are given. */
export const mayGrow = ({
  isResumed,
  settings,
  tokenizer,
  corpus,
}: Omit<Flags, 'tokens' | 'config'>): boolean =>
  !isResumed &&
  settings.initFrom !== undefined &&
  settings.loraRank === undefined &&
  tokenizer.kind !== 'bpe' &&
  !corpus.files.some(isTokenFilePath);

/** Against a learning rate that is too high. */
export function againstHighRate(flags: Flags): string {
  const { flag, usual } = highestRate(flags);
  const lower = isAboveUsual(flags) && !endsAbovePeak(flags) ? `${flag} ${usual}` : `a lower ${flag}`;
  return sentence([flags.isResumed ? `a new run with ${lower}` : lower]);
}

/** Whether the learning rate rises to --min-lr instead of decaying to it. */
export const endsAbovePeak = ({
  settings: { learningRate, minLr, schedule },
}: Pick<Flags, 'settings'>): boolean => hasDecayEnd(schedule) && minLr > learningRate;

interface HighestRate {
  readonly rate: number;
  /** The usual value for similar models. */
  readonly usual: number;
  /** The flag that sets it. */
  readonly flag: string;
  /** What it applies to, for messages. */
  readonly scope: '' | ' for matrices';
}

/** The run's peak learning rate; with Muon, of the matrices or of the rest, whichever exceeds its usual value by more. */
export function highestRate(flags: Flags): HighestRate {
  const { preset, initFrom, loraRank, learningRate, minLr, optimizer, muonLearningRate } = flags.settings;
  const { nEmbd } = flags.config;
  const usual = usualPeak({ preset, initFrom, loraRank, optimizer, nEmbd });
  if (endsAbovePeak(flags)) return { rate: minLr, usual, flag: '--min-lr', scope: '' };
  const common = { rate: learningRate, usual, flag: '--learning-rate', scope: '' } as const;
  if (optimizer !== 'muon') return common;
  const matrices = {
    rate: muonLearningRate,
    usual: usualMuonPeak({ initFrom }),
    flag: '--muon-learning-rate',
    scope: ' for matrices',
  } as const;
  return timesUsual(matrices) > timesUsual(common) ? matrices : common;
}

const timesUsual = ({ rate, usual }: HighestRate): number => rate / usual;

/** Whether the learning rate is above what suits similar models. */
export const isAboveUsual = (flags: Flags): boolean => timesUsual(highestRate(flags)) > HIGHEST_USUAL;

/** The automatic choice goes up to 4 times the preset's rate for the smallest models. */
const HIGHEST_USUAL = 5;

/** `A, b or c would help.` */
function sentence(remedies: readonly string[]): string {
  const last = remedies.at(-1);
  if (last === undefined) return '';
  const text = remedies.length === 1 ? last : `${remedies.slice(0, -1).join(', ')} or ${last}`;
  return `${text[0].toUpperCase()}${text.slice(1)} would help.`;
}
