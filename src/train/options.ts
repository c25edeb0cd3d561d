/**
 * Every option of a training run, one row each. Types, flags with their help, config files, defaults, the checks of a
 * checkpoint's options, the rules of resuming and docs/options.md derive from this table.
 */
import type { EncodingErrors } from '../data/decode-text.ts';
import { decodingHelp, encodingErrorsName, encodingName } from '../data/encoding-value.ts';
import { UTF8 } from '../data/encodings.ts';
import type { ConfigField } from '../model/architecture.ts';
import {
  architectureFields,
  architectureNames,
  architectureOf,
  type ArchitectureFields,
} from '../model/architectures/registry.ts';
import { presetNames, presets, type PresetName } from '../model/config.ts';
import { initializations, type Initialization } from '../model/parameter.ts';
import { tokenizerKinds } from '../tokenizer/registry.ts';
import type { TokenizerKind } from '../tokenizer/tokenizer.ts';
import { choice, filePath, number, seed, wholeNumber } from '../values.ts';
import { groups, optional, orAbsent, row, unused, withDecay, withOptimizer, type Row } from './option-row.ts';
import {
  architecture,
  belowOne,
  forcedChanges,
  MOST_MICRO_BATCHES,
  MOST_MINUTES,
  MOST_STEPS,
  nonNegative,
  pastSchedules,
  positive,
  trueOrFalse,
  vocabularySize,
} from './option-values.ts';
import { optimizerNames, type OptimizerName } from './optimizer.ts';
import type { ForcedChange } from './forced-change.ts';
import type { PastSchedule } from './past-schedule.ts';
import { recipes } from './recipe.ts';
import { saveEvery, type SaveEvery } from './save-every.ts';
import { hasPlateau, scheduleNames, type ScheduleName } from './schedule.ts';

/** Decay of a `wsd` schedule, as a fraction of its steps. */
export const DECAY_SHARE = 0.25;
/** Learning rate for fine-tuning, as a fraction of the pre-training one. */
export const FINE_TUNING = 0.1;

/** Architecture of a new model. */
export const DEFAULT_ARCHITECTURE = 'gpt2';

/** Peak learning rate of the matrices that Muon updates. */
export const MUON_LEARNING_RATE = 0.02;

/** In the order of the help. */
const rows = {
  /** Start from the trained model in this folder; see starting-model.ts. */
  initFrom: optional<string>({
    group: 'Model',
    value: filePath,
    placeholder: 'folder',
    help: 'fine-tune this model, keeping its shape and tokenizer',
    onResume: 'fixed',
    conflicts: ['preset', 'vocabSize', 'minFrequency', 'initialization'],
  }),
  /** The name of the model's architecture, one of model/architectures/registry.ts. */
  arch: row<string>({
    group: 'Model',
    value: architecture,
    placeholder: 'name',
    help: architectureNames().join(', '),
    default: DEFAULT_ARCHITECTURE,
    onResume: 'fixed',
    stored: orAbsent(architecture),
  }),
  /** A well-known model and its training; nano where neither a preset nor a time is given. */
  preset: row<PresetName>({
    group: 'Model',
    value: choice(presetNames),
    placeholder: 'name',
    help: presetNames.join(', '),
    default: 'nano',
    defaultHelp: 'what suits corpus and time',
    onResume: 'fixed',
  }),
  nLayer: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'transformer blocks',
    default: ({ preset }) => presets[preset].nLayer,
    defaultHelp: "the preset's",
    onResume: 'fixed',
  }),
  nHead: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'attention heads',
    default: ({ preset }) => presets[preset].nHead,
    defaultHelp: "the preset's",
    onResume: 'fixed',
  }),
  nEmbd: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'channels of the residual stream',
    default: ({ preset }) => presets[preset].nEmbd,
    defaultHelp: "the preset's",
    onResume: 'fixed',
  }),
  blockSize: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'context length, in tokens',
    default: ({ preset }) => presets[preset].blockSize,
    defaultHelp: "the preset's",
    onResume: 'fixed',
  }),
  /** Whether the output head is the token embedding. */
  tieWordEmbeddings: row<boolean>({
    group: 'Model',
    value: trueOrFalse,
    placeholder: 'answer',
    help: 'true: the output head is the token embedding',
    defaultHelp: "the architecture's",
    default: ({ arch }) => architectureOf({ arch }).tieWordEmbeddings,
    onResume: 'fixed',
    stored: orAbsent(trueOrFalse),
  }),
  dropout: row<number>({
    group: 'Model',
    value: belowOne,
    placeholder: 'p',
    help: 'dropout probability',
    default: ({ preset }) => presets[preset].dropout,
    defaultHelp: "the preset's",
    onResume: 'forced',
  }),

  tokenizer: row<TokenizerKind>({
    group: 'Data',
    value: choice(tokenizerKinds),
    placeholder: 'kind',
    help: 'char, word or bpe',
    default: 'char',
    onResume: 'fixed',
  }),
  minFrequency: row<number>({
    group: 'Data',
    value: positive,
    placeholder: 'n',
    help: 'minimum occurrences of a token; bpe: of a merge',
    default: 1,
    onResume: 'fixed',
  }),
  vocabSize: row<number>({
    group: 'Data',
    value: vocabularySize,
    placeholder: 'n',
    help: 'maximum number of tokens',
    default: Infinity,
    defaultHelp: 'all; bpe: 1024',
    onResume: 'fixed',
    stored: { is: (value) => value === null || positive.is(value), expected: `${positive.expected} or null` }, // JSON has no infinity
  }),
  valFraction: row<number>({
    group: 'Data',
    value: belowOne,
    placeholder: 'p',
    help: 'share of the text held out for validation, at its end',
    default: ({ valFile }) => (valFile === undefined ? 0.1 : 0),
    defaultHelp: '0.1, up to 500,000 tokens',
    onResume: 'forced',
    changes: 'text',
  }),
  valFile: optional<string>({
    group: 'Data',
    value: filePath,
    placeholder: 'file',
    help: 'validate on this text instead',
    onResume: 'free', // files may move: their contents count, and are compared by hash
    conflicts: ['valFraction'],
  }),
  /** Encoding of the text and the validation text. A byte order mark takes precedence. */
  encoding: row<string>({
    group: 'Data',
    value: encodingName,
    placeholder: 'name',
    help: decodingHelp.encoding,
    default: UTF8,
    onResume: 'forced',
    stored: orAbsent({ ...encodingName, expected: 'the canonical name of an encoding that this Node knows' }),
    changes: 'text',
  }),
  /** Bytes that are not text in that encoding: an error, or U+FFFD. */
  encodingErrors: row<EncodingErrors>({
    group: 'Data',
    value: encodingErrorsName,
    placeholder: 'what',
    help: decodingHelp.encodingErrors,
    default: 'strict',
    onResume: 'forced',
    changes: 'text',
  }),

  /** How long the run may take in all, instead of maxIters; see budget.ts. */
  minutes: optional<number>({
    group: 'Training',
    value: number({ above: 0, max: MOST_MINUTES }),
    placeholder: 'n',
    help: 'total time in minutes',
    defaultHelp: '3, without --max-iters or --preset',
    onResume: 'invocation',
    conflicts: ['maxIters'],
  }),
  maxIters: row<number>({
    group: 'Training',
    value: wholeNumber({ min: 1, max: MOST_STEPS }),
    placeholder: 'n',
    help: 'optimizer steps',
    default: ({ preset }) => recipes[preset].maxIters,
    defaultHelp: "the preset's",
    onResume: 'free',
  }),
  batchSize: row<number>({
    group: 'Training',
    value: positive,
    placeholder: 'n',
    help: 'sequences per micro-batch',
    default: ({ preset }) => presets[preset].batchSize,
    defaultHelp: "the preset's",
    onResume: 'forced',
    changes: 'sample',
  }),
  gradientAccumulationSteps: row<number>({
    group: 'Training',
    value: wholeNumber({ min: 1, max: MOST_MICRO_BATCHES }),
    placeholder: 'n',
    help: 'micro-batches per step',
    default: 1,
    onResume: 'forced',
  }),
  learningRate: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'peak learning rate',
    default: ({ preset, initFrom }) =>
      (initFrom === undefined ? 1 : FINE_TUNING) * recipes[preset].learningRate,
    defaultHelp: "the preset's; a tenth of it with --init-from",
    onResume: 'forced',
  }),
  minLr: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'final learning rate',
    default: ({ learningRate, schedule }) => learningRate / (schedule === 'wsd' ? 50 : 10),
    defaultHelp: 'a tenth of the peak, wsd: a fiftieth',
    caution: withDecay,
    onResume: 'forced',
  }),
  warmupIters: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'steps of linear warm-up',
    default: ({ preset, maxIters }) => Math.min(recipes[preset].warmupIters, Math.floor(maxIters / 10)),
    defaultHelp: "the preset's, at most a tenth of the run",
    caution: (value, { maxIters }) =>
      value < maxIters
        ? undefined
        : `${value} is not below the run's ${maxIters} steps: the learning rate does not reach its peak`,
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
    defaultHelp: '3/4',
    caution: unused(
      (chosen) => hasPlateau({ ...chosen, decayFrom: chosen.lrDecayFrom }),
      ({ schedule }) => `with the ${schedule} schedule, only with wsd`,
    ),
    onResume: 'forced',
  }),
  schedule: row<ScheduleName>({
    group: 'Training',
    value: choice(scheduleNames),
    placeholder: 'name',
    help: scheduleNames.join(', '),
    default: 'cosine',
    defaultHelp: 'cosine, with --minutes wsd',
    onResume: 'forced',
  }),
  optimizer: row<OptimizerName>({
    group: 'Training',
    value: choice(optimizerNames),
    placeholder: 'name',
    help: optimizerNames.join(', '),
    default: 'adamw',
    onResume: 'fixed', // the moments of one are not those of another
  }),
  initialization: row<Initialization>({
    group: 'Training',
    value: choice(initializations),
    placeholder: 'scheme',
    help: `initial weights: ${initializations.join(' or ')}`,
    default: ({ optimizer }) => (optimizer === 'muon' ? 'fan-in' : 'gpt2'),
    defaultHelp: 'gpt2; fan-in with muon',
    onResume: 'fixed', // a resumed run has its weights
    stored: orAbsent(choice(initializations)),
  }),
  /** Of the matrices that Muon updates, at the peak of the schedule. */
  muonLearningRate: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'peak learning rate of matrices with muon',
    default: ({ initFrom }) => (initFrom === undefined ? 1 : FINE_TUNING) * MUON_LEARNING_RATE,
    defaultHelp: `${MUON_LEARNING_RATE}; a tenth of it with --init-from`,
    caution: (value, chosen) =>
      withOptimizer('muon')(value, chosen) ??
      (chosen.learningRate > 0 || value === 0 ? undefined : 'has no effect on a learning rate of 0'),
    onResume: 'forced',
    stored: orAbsent(nonNegative),
  }),
  weightDecay: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'applied to matrices only',
    default: 0.1,
    onResume: 'forced',
  }),
  beta1: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'of AdamW',
    default: 0.9,
    caution: withOptimizer('adamw', 'muon'),
    onResume: 'forced',
  }),
  beta2: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'of AdamW',
    default: ({ preset }) => recipes[preset].beta2,
    defaultHelp: '0.99, gpt2: 0.95',
    caution: withOptimizer('adamw', 'muon'),
    onResume: 'forced',
  }),
  momentum: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'of SGD and Muon',
    default: ({ optimizer }) => (optimizer === 'muon' ? 0.95 : 0.9),
    defaultHelp: '0.9; 0.95 with muon',
    caution: withOptimizer('sgd', 'muon'),
    onResume: 'forced',
  }),
  gradClip: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'maximum gradient norm; 0: unlimited',
    default: 1,
    onResume: 'forced',
  }),
  /** Set by extension.ts. */
  rewarmStart: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'first step of the re-warm-up of an extended run; 0: none',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(wholeNumber()),
  }),
  rewarmIters: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'steps of the re-warm-up',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(wholeNumber()),
  }),
  rewarmFrom: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'learning rate before the re-warm-up',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(nonNegative),
  }),
  /** The share of the decay done before lrDecayStart. Set by run-time.ts. */
  lrDecayFrom: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'p',
    help: 'share of the decay done before lrDecayStart',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(belowOne),
  }),
  /** Set by schedule-history.ts. */
  pastSchedules: row<readonly PastSchedule[]>({
    group: 'Training',
    value: pastSchedules,
    placeholder: 'list',
    help: 'schedules of earlier steps',
    hasFlag: false,
    default: [],
    defaultHelp: 'none',
    onResume: 'free',
    stored: orAbsent(pastSchedules),
  }),
  /** Set by change-history.ts. */
  forcedChanges: row<readonly ForcedChange[]>({
    group: 'Training',
    value: forcedChanges,
    placeholder: 'list',
    help: 'options changed by --force, with their earlier values',
    hasFlag: false,
    default: [],
    defaultHelp: 'none',
    onResume: 'free',
    stored: orAbsent(forcedChanges),
  }),
  seed: row<number>({
    group: 'Training',
    value: seed,
    placeholder: 'n',
    help: 'seed of all random numbers',
    default: 1337,
    onResume: 'forced',
  }),

  evalInterval: row<number>({
    group: 'Evaluation and output',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'steps between evaluations; 0: only at the end',
    default: ({ maxIters }) => Math.max(1, Math.min(250, Math.ceil(maxIters / 10))),
    defaultHelp: 'a tenth of the run, at most 250',
    onResume: 'forced',
  }),
  evalIters: row<number>({
    group: 'Evaluation and output',
    value: positive,
    placeholder: 'n',
    help: 'batches per split in an evaluation',
    default: 20,
    onResume: 'forced',
    changes: 'sample',
  }),
  patience: row<number>({
    group: 'Evaluation and output',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'stop after n evaluations without improvement; 0: never',
    default: 0,
    caution: (value, { evalInterval }) =>
      value === 0 || evalInterval > 0 ? undefined : 'has no effect where the only evaluation is the last',
    onResume: 'free',
  }),
  /** Checkpoints between evaluations: every n steps, or at an interval such as '10m'; 0: none. */
  saveEvery: row<SaveEvery>({
    group: 'Evaluation and output',
    value: saveEvery,
    placeholder: 'when',
    help: 'checkpoint every n steps, or minutes as in 10m; 0: never',
    default: '10m',
    onResume: 'free',
  }),
  /** Tokens of the preview written at each evaluation; 0: none. */
  sampleTokens: row<number>({
    group: 'Evaluation and output',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'tokens of the sample after each evaluation; 0: none',
    default: 0,
    flagDefault: 120,
    onResume: 'free',
  }),
};

type Rows = typeof rows;
type TypeOf<R> = R extends Row<infer T> ? T : never;
type Values = { readonly [Name in keyof Rows]: TypeOf<Rows[Name]> };

/** The options of the table as they may be given. */
export type GivenOptions = Partial<Values & ArchitectureFields>;

/** The options of the table as a checkpoint has them: those given, and those chosen. */
export type ChosenOptions = Omit<Values, 'minutes'> & Partial<ArchitectureFields>;

/** A row without its type: those of the table, and the fields of the architectures. */
export type OptionRow = Row<unknown>;

/** A field of an architecture's config as an option. */
const fieldRow = (field: ConfigField): OptionRow => ({
  group: 'Model',
  ...field,
  onResume: 'fixed',
  stored: field.default === undefined ? orAbsent(field.value) : field.value,
});

let built: { readonly fields: object; readonly table: ReadonlyMap<string, OptionRow> } | undefined;

/**
 * All rows by name; the fields of the architectures come last in their group. The table is built once, and again when an
 * architecture is registered.
 */
export function optionTable(): ReadonlyMap<string, OptionRow> {
  const fields = architectureFields();
  if (built?.fields !== fields) built = { fields, table: buildTable(fields) };
  return built.table;
}

function buildTable(fields: Readonly<Record<string, ConfigField>>): ReadonlyMap<string, OptionRow> {
  const ofArchitectures = Object.entries(fields).map(([name, field]) => [name, fieldRow(field)] as const);
  const entries = [...(Object.entries(rows) as [string, OptionRow][]), ...ofArchitectures];
  return new Map(groups.flatMap((group) => entries.filter(([, each]) => each.group === group)));
}

/** The rows that apply to models of an architecture. */
export function optionsOf(arch: string): ReadonlyMap<string, OptionRow> {
  const { fields } = architectureOf({ arch });
  const others = new Set(Object.keys(architectureFields()).filter((name) => !Object.hasOwn(fields, name)));
  return new Map([...optionTable()].filter(([name]) => !others.has(name)));
}
