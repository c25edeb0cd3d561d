/** The options in gpt_trainer_state.json, as a run that goes on takes them. */
import { UserError } from '../errors.ts';
import {
  amount,
  checkFields,
  count,
  listOf,
  oneOf,
  optional,
  orNull,
  positive,
  share,
  text,
  type Rules,
} from '../json-rules.ts';
import { presetNames } from '../model/config.ts';
import { tokenizerKinds } from '../tokenizer/registry.ts';
import { optimizerNames } from './optimizer.ts';
import { scheduleNames } from './schedule.ts';
import { isSaveEvery, type Settings } from './settings.ts';

const rules: Rules<Settings> = {
  corpus: listOf(text),
  initFrom: optional(text),
  preset: oneOf(presetNames),
  nLayer: positive,
  nHead: positive,
  nEmbd: positive,
  blockSize: positive,
  dropout: share,
  activation: oneOf(['gelu_new', 'relu']),
  positions: oneOf(['learned', 'sinusoidal']),
  norm: oneOf(['pre', 'post']),
  layerNormEpsilon: share,
  tokenizer: oneOf(tokenizerKinds),
  minFrequency: positive,
  vocabSize: orNull(positive), // JSON has no infinity, which stands for no limit
  encodingErrors: oneOf(['strict', 'replace']),
  valFraction: share,
  valFile: optional(text),
  batchSize: positive,
  gradientAccumulationSteps: positive,
  maxIters: positive,
  learningRate: amount,
  minLr: amount,
  warmupIters: count,
  lrDecayIters: positive,
  lrDecayStart: count,
  schedule: oneOf(scheduleNames),
  optimizer: oneOf(optimizerNames),
  weightDecay: amount,
  beta1: share,
  beta2: share,
  momentum: share,
  gradClip: amount,
  evalInterval: count,
  evalIters: positive,
  patience: count,
  saveEvery: { is: (value) => isSaveEvery(String(value)), expected: 'steps or a time such as 10m' },
  sampleTokens: count,
  seed: count,
};

/**
 * Checks that they are all there and each could have been given.
 *
 * @param file they come from
 * @throws UserError that names the option and its value
 */
export function checkStoredOptions(options: Readonly<Record<string, unknown>>, file: string): void {
  checkFields(options, rules, (what) => {
    throw new UserError(`${file}: in "options", ${what}`, {
      hint: 'the checkpoint is damaged or was changed by hand',
    });
  });
}
