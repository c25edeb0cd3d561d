/**
 * The options in a checkpoint: which values are valid there, which may change when the run is resumed, and what the
 * resumed run then trains with.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { canonicalEncoding, UTF8 } from '../data/encodings.ts';
import { UsageError, UserError } from '../errors.ts';
import { isJsonObject, shownJson } from '../json.ts';
import {
  amount,
  checkFields,
  count,
  flag,
  listOf,
  oneOf,
  optional,
  orNull,
  positive,
  share,
  text,
  type Rule,
  type Rules,
} from '../json-rules.ts';
import {
  allArchitectures,
  architectureNames,
  architectureOf,
  type ArchitectureFields,
} from '../model/architectures/registry.ts';
import { flagOf, presetNames } from '../model/config.ts';
import { tokenizerKinds } from '../tokenizer/registry.ts';
import { optimizerNames } from './optimizer.ts';
import { scheduleNames } from './schedule.ts';
import { isSaveEvery, type PastSchedule, type Settings, type TrainModelOptions } from './settings.ts';

interface StoredOption {
  readonly value: Rule;
  /**
   * - `fixed`: decides which tensors there are or what a token id means. Another value would need another model, so it is
   *   refused even with --force.
   * - `forced`: another value trains on with the same parameters and moments, but to other results than an uninterrupted
   *   run. Needs --force.
   * - `free`: changes nothing computed so far.
   */
  readonly onResume: 'fixed' | 'forced' | 'free';
}

const fixed = (value: Rule): StoredOption => ({ value, onResume: 'fixed' });
const forced = (value: Rule): StoredOption => ({ value, onResume: 'forced' });
const free = (value: Rule): StoredOption => ({ value, onResume: 'free' });

/** See settings.ts; the fields are what the options of the same names are. */
const pastScheduleRules: Rules<PastSchedule> = {
  until: positive,
  schedule: oneOf(scheduleNames),
  learningRate: amount,
  minLr: amount,
  warmupIters: count,
  lrDecayIters: positive,
  lrDecayStart: count,
  lrDecayFrom: share,
  rewarmStart: count,
  rewarmIters: count,
  rewarmFrom: amount,
};
const pastSchedule: Rule = {
  is: (value) =>
    isJsonObject(value) && Object.entries(pastScheduleRules).every(([name, rule]) => rule.is(value[name])),
  expected: 'a schedule of earlier steps',
};

/** Those of every run; fields of the architecture come on top. */
const storedOptions: {
  readonly [Name in Exclude<keyof Settings, keyof ArchitectureFields>]-?: StoredOption;
} = {
  // Files may move: their contents count, and are compared by hash.
  corpus: free(listOf(text)),
  valFile: free(optional(text)),

  initFrom: fixed(optional(text)),
  preset: fixed(oneOf(presetNames)),
  nLayer: fixed(positive),
  nHead: fixed(positive),
  nEmbd: fixed(positive),
  blockSize: fixed(positive),
  // Absent in runs of earlier versions, which trained GPT-2s with a tied head.
  arch: fixed(
    optional({ is: (name) => architectureNames().includes(name as string), expected: 'an architecture' }),
  ),
  tieWordEmbeddings: fixed(optional(flag)),
  tokenizer: fixed(oneOf(tokenizerKinds)),
  minFrequency: fixed(positive),
  vocabSize: fixed(orNull(positive)), // JSON has no infinity, which stands for no limit
  optimizer: fixed(oneOf(optimizerNames)), // the moments of one are not those of another

  dropout: forced(share),
  encoding: forced(
    optional({
      is: (value) => typeof value === 'string' && canonicalEncoding(value) === value,
      expected: 'the canonical name of an encoding that this Node knows',
    }),
  ),
  encodingErrors: forced(oneOf(['strict', 'replace'])),
  valFraction: forced(share),
  batchSize: forced(positive),
  gradientAccumulationSteps: forced(positive),
  learningRate: forced(amount),
  minLr: forced(amount),
  warmupIters: forced(count),
  lrDecayIters: forced(positive),
  lrDecayStart: forced(count),
  schedule: forced(oneOf(scheduleNames)),
  weightDecay: forced(amount),
  beta1: forced(share),
  beta2: forced(share),
  momentum: forced(share),
  gradClip: forced(amount),
  evalInterval: forced(count),
  evalIters: forced(positive),
  seed: forced(count),

  // No flag sets them: extending a run does, and keeping to its time. Absent in runs of earlier versions.
  rewarmStart: free(optional(count)),
  rewarmIters: free(optional(count)),
  rewarmFrom: free(optional(amount)),
  lrDecayFrom: free(optional(share)),
  pastSchedules: free(optional(listOf(pastSchedule))),

  maxIters: free(positive),
  patience: free(count),
  saveEvery: free({
    is: (value) => isSaveEvery(String(value)),
    expected: 'a number of steps or a time such as 10m',
  }),
  sampleTokens: free(count),
};

/** What runs of earlier versions had where they have no such option. */
const BEFORE_THE_OPTION: Partial<Settings> = { encoding: UTF8 };

/** The value of an option in a checkpoint. */
export const storedValue = (options: Readonly<Record<string, unknown>>, name: keyof Settings): unknown =>
  options[name] ?? BEFORE_THE_OPTION[name];

const valueRules: Readonly<Record<string, Rule>> = Object.fromEntries(
  Object.entries(storedOptions).map(([name, { value }]) => [name, value]),
);

/** What no flag sets: how the learning rate of a run that was extended, or kept to a time, has come about. */
export const recordedSchedule = [
  'rewarmStart',
  'rewarmIters',
  'rewarmFrom',
  'lrDecayFrom',
  'pastSchedules',
] as const;

/** @param fail throws, told what is wrong */
export const checkRecordedSchedule = (
  options: Readonly<Record<string, unknown>>,
  fail: (what: string) => never,
): void =>
  checkFields(options, Object.fromEntries(recordedSchedule.map((name) => [name, valueRules[name]])), fail);

/** Options that the weights depend on and config.json states too, with the fields of the architecture. */
const STATED_BY_MODEL = ['nLayer', 'nHead', 'nEmbd', 'blockSize'] as const;

/**
 * Checks that a checkpoint's options are complete, valid, and those of the model it holds.
 *
 * @throws UserError naming the option and its value
 */
export function checkStoredOptions({ stateFile, state: { options }, model }: Checkpoint): void {
  const fail = (what: string): never => {
    throw new UserError(`${stateFile}: in "options", ${what}`, {
      hint: 'the checkpoint is damaged or was changed by hand',
    });
  };
  const { config, tokenizer } = model;
  const { fields } = architectureOf(config);
  checkFields(options, valueRules, fail);
  checkFields(
    options,
    Object.fromEntries(Object.entries(fields).map(([name, { rule }]) => [name, rule])),
    fail,
  );
  const stated: Readonly<Record<string, unknown>> = { ...config };
  const withArch: Readonly<Record<string, unknown>> = { arch: 'gpt2', ...options };
  for (const name of ['arch', ...STATED_BY_MODEL, ...Object.keys(fields)])
    if (withArch[name] !== stated[name])
      fail(
        `"${name}" is ${shownJson(withArch[name])}, but config.json beside it says ${String(stated[name])}`,
      );
  if (options['tokenizer'] !== tokenizer.kind)
    fail(
      `"tokenizer" is ${shownJson(options['tokenizer'])}, but tokenizer.json beside it is ${tokenizer.kind}`,
    );
}

/**
 * The options of a resumed run: those it was started with, and what may be changed of those given now.
 *
 * @param stored as `checkStoredOptions` has accepted them
 * @throws UsageError naming each option that differs and is fixed, or needs `force` and does not have it
 */
export function resumedOptions(
  stored: Readonly<Record<string, unknown>>,
  given: TrainModelOptions,
): TrainModelOptions {
  const before: Record<string, unknown> = {
    ...BEFORE_THE_OPTION,
    ...Object.fromEntries(Object.entries(stored).filter(([name, value]) => isStored(name) && value !== null)),
  };
  if (before['valFile'] !== undefined) delete before['valFraction']; // nothing of the corpus was split off
  const now = Object.entries(given).filter(
    ([name, value]) => value !== undefined && !(name === 'corpus' && given.corpus.length === 0),
  );
  const differs = (kind: StoredOption['onResume']): string[] =>
    now
      .filter(([name, value]) => onResume(name) === kind && !isDeepStrictEqual(value, before[name]))
      .map(([name, value]) => `${flagOf(name)} is ${String(value)}, but the run has ${shown(before[name])}`);

  const impossible = differs('fixed');
  if (impossible.length > 0)
    throw new UsageError(impossible.join('; '), {
      hint: 'a run keeps its model, tokenizer and optimizer: leave this out, or train a new model without --resume',
    });
  const unforced = given.force === true ? [] : differs('forced');
  if (unforced.length > 0)
    throw new UsageError(unforced.join('; '), {
      hint: 'leave this out to continue as before, or add --force to change it from here on',
    });
  if (given.valFraction !== undefined) delete before['valFile'];
  if (given.lrDecayStart !== undefined) delete before['lrDecayFrom']; // a decay that starts there starts from the peak
  return { ...(before as unknown as TrainModelOptions), ...Object.fromEntries(now) };
}

/** Options that are not stored affect one invocation only. */
function onResume(name: string): StoredOption['onResume'] {
  if (Object.hasOwn(storedOptions, name)) return storedOptions[name as keyof typeof storedOptions].onResume;
  return isArchitectureField(name) ? 'fixed' : 'free';
}

const isStored = (name: string): boolean => Object.hasOwn(storedOptions, name) || isArchitectureField(name);

const isArchitectureField = (name: string): boolean =>
  allArchitectures().some(({ fields }) => Object.hasOwn(fields, name));

const shown = (value: unknown): string => (value === undefined ? 'none' : shownJson(value));
