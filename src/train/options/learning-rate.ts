/** Options of the learning rate schedule, which ../schedule.ts computes. */
import { formatCountOf } from '../../format.ts';
import { choice, wholeNumber, type OptionType } from '../../values.ts';
import { recipes } from '../recipe.ts';
import {
  decayTypes,
  hasDecayEnd,
  hasPlateau,
  scheduleNames,
  usualPeakRatio,
  type DecayType,
  type ScheduleName,
} from '../schedule.ts';
import { LORA_LEARNING_RATE } from './lora.ts';
import { orAbsent, PRESET_OR_CHOSEN, row, unused, withDecay, type KnownOptions } from './row.ts';
import { nonNegative, positive } from './values.ts';

/** Decay of a `wsd` schedule, as a fraction of its steps. */
export const DECAY_SHARE = 0.25;
/**
 * Peak learning rate for fine-tuning a model of 768 channels. In inverse proportion to the width (Yang et al. 2022, table 8, for
 * Adam), it is 2e-5 for a model of 4,096, as is usual for those; docs/recipe-experiments.md#fine-tuning has smaller ones.
 */
const [FINE_TUNING_PEAK, FINE_TUNING_WIDTH] = [1e-4, 768];

/** Elsewhere `inverse-sqrt` is called inverse_sqrt (fairseq, transformers) or noam, after an author (OpenNMT). */
const scheduleName: OptionType<ScheduleName> = {
  ...choice(scheduleNames),
  read: (text) =>
    scheduleNames.find((name) => name === (text === 'noam' ? 'inverse-sqrt' : text.replaceAll('_', '-'))),
};

/** Peak learning rate with Lion: that of AdamW divided by this. Chen et al. 2023, section 5, recommend 3 to 10. */
export const LION_DIVISOR = 5;

type Adaptation = Partial<Pick<KnownOptions, 'initFrom' | 'loraRank' | 'optimizer'>> & {
  readonly nEmbd: number;
};

/** The peak for fine-tuning, adapters or Lion. @param peak of a new model, with the other optimizers */
export function adaptedPeak(peak: number, { initFrom, loraRank, optimizer, nEmbd }: Adaptation): number {
  const tuned =
    initFrom === undefined ? peak : Math.min(peak, (FINE_TUNING_PEAK * FINE_TUNING_WIDTH) / nEmbd);
  const adapted = loraRank === undefined ? tuned : LORA_LEARNING_RATE;
  const own = optimizer === 'lion' ? adapted / LION_DIVISOR : adapted;
  return Number(own.toPrecision(3));
}

/** The peak learning rate of runs that do not set it. */
export const usualPeak = (options: Adaptation & Pick<KnownOptions, 'preset'>): number =>
  adaptedPeak(recipes[options.preset].learningRate, options);

export const learningRateRows = {
  learningRate: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'peak learning rate',
    default: usualPeak,
    defaultHelp: `${PRESET_OR_CHOSEN}; a fifth with lion; with --init-from ${FINE_TUNING_PEAK} for ${FINE_TUNING_WIDTH} channels and more for fewer, ${LORA_LEARNING_RATE} with --lora-rank`,
    onResume: 'forced',
  }),
  minLr: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'final learning rate',
    default: ({ learningRate, schedule }) => learningRate / usualPeakRatio(schedule),
    defaultHelp: 'a tenth of the peak, a fiftieth with wsd; 0 with --minutes and no preset',
    caution: withDecay,
    onResume: 'forced',
  }),
  warmupIters: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'steps of linear warm-up',
    default: ({ preset, maxIters }) => Math.min(recipes[preset].warmupIters, Math.floor(maxIters / 10)),
    defaultHelp:
      "the preset's, at most a tenth of the run; with --minutes a twentieth, at most 100, muon: 20",
    caution: (value, { maxIters, schedule, lrDecayIters }) => {
      if (value >= maxIters)
        return `${value} is not below the run's ${formatCountOf(maxIters, 'step')}: the learning rate does not reach its peak`;
      if (hasDecayEnd(schedule) && value >= lrDecayIters)
        return `${value} is not below ${lrDecayIters}, the end of the decay: the learning rate does not reach its peak`;
      if (value === 0 && schedule === 'inverse-sqrt')
        return '0 makes the inverse-sqrt schedule start at its peak: after 100 steps, the learning rate is a tenth of it';
      return undefined;
    },
    onResume: 'forced',
  }),
  lrDecayIters: row<number>({
    group: 'Training',
    value: positive,
    placeholder: 'n',
    help: 'step at which the decay ends',
    default: ({ maxIters }) => maxIters,
    defaultHelp: 'max-iters',
    caution: withDecay,
    onResume: 'forced',
  }),
  lrDecayStart: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'step at which the decay of wsd starts',
    default: ({ lrDecayIters }) => Math.floor((1 - DECAY_SHARE) * lrDecayIters),
    defaultHelp: '3/4 of lr-decay-iters',
    caution: (value, chosen) => {
      const { schedule, maxIters, lrDecayIters, lrDecayFrom } = chosen;
      if (!hasPlateau({ ...chosen, decayFrom: lrDecayFrom }))
        return `has no effect with the ${schedule} schedule, only with wsd`;
      if (value >= maxIters)
        return `${value} is not below the run's ${formatCountOf(maxIters, 'step')}: the learning rate does not decay`;
      if (value >= lrDecayIters)
        return `${value} is not below ${lrDecayIters}, the end of the decay: the learning rate falls in a single step`;
      return undefined;
    },
    onResume: 'forced',
  }),
  lrDecayType: row<DecayType>({
    group: 'Training',
    value: choice(decayTypes),
    placeholder: 'shape',
    help: 'shape of the decay of wsd: linear or 1-sqrt',
    default: 'linear',
    caution: unused(
      ({ schedule }) => schedule === 'wsd',
      ({ schedule }) => `with the ${schedule} schedule, only with wsd`,
    ),
    onResume: 'forced',
    stored: orAbsent(choice(decayTypes)),
  }),
  schedule: row<ScheduleName>({
    group: 'Training',
    value: scheduleName,
    placeholder: 'name',
    help: scheduleNames.join(', '),
    default: 'cosine',
    defaultHelp: 'cosine; with --minutes linear, or wsd with a preset',
    onResume: 'forced',
  }),
};
