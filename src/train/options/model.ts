/** Options for the model's shape and the origin of its weights. */
import { architectureNames, architectureOf } from '../../model/architectures/registry.ts';
import { presetNames, presets, type PresetName } from '../../model/config.ts';
import { choice, filePath, trueOrFalse, type OptionType } from '../../values.ts';
import { optional, orAbsent, PRESET_OR_CHOSEN, row } from './row.ts';
import { belowOne, positive } from './values.ts';

/** Architecture of a new model. */
export const DEFAULT_ARCHITECTURE = 'gpt2';

/** Built when used, since architectures can be added. */
const choices = (): OptionType<string> => choice(architectureNames());

const architecture: OptionType<string> = {
  get expected() {
    return choices().expected;
  },
  is: (name) => choices().is(name),
  read: (text) => choices().read(text),
  get completes() {
    return architectureNames();
  },
};

/** The fields of the architectures follow these in the table; see ../options.ts. */
export const modelRows = {
  /** Start from the trained model in this folder; see starting-model.ts. */
  initFrom: optional<string>({
    group: 'Model',
    value: filePath,
    placeholder: 'folder',
    help: 'fine-tune this model, keeping its shape and tokenizer',
    onResume: 'fixed',
    conflicts: ['preset', 'vocabSize', 'initialization'],
  }),
  /** The name of the model's architecture, one of model/architectures/registry.ts. */
  arch: row<string>({
    group: 'Model',
    value: architecture,
    placeholder: 'name',
    help: architectureNames().join(', '),
    default: DEFAULT_ARCHITECTURE,
    defaultHelp: 'qwen3; gpt2 with a preset or --max-iters',
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
    defaultHelp: 'nano with --max-iters; otherwise chosen for text and time',
    onResume: 'fixed',
  }),
  nLayer: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'transformer blocks',
    default: ({ preset }) => presets[preset].nLayer,
    defaultHelp: PRESET_OR_CHOSEN,
    onResume: 'fixed',
  }),
  nHead: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'attention heads',
    default: ({ preset }) => presets[preset].nHead,
    defaultHelp: PRESET_OR_CHOSEN,
    onResume: 'fixed',
  }),
  nEmbd: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'channels of the residual stream',
    default: ({ preset }) => presets[preset].nEmbd,
    defaultHelp: PRESET_OR_CHOSEN,
    onResume: 'fixed',
  }),
  blockSize: row<number>({
    group: 'Model',
    value: positive,
    placeholder: 'n',
    help: 'context length, in tokens',
    default: ({ preset }) => presets[preset].blockSize,
    defaultHelp: PRESET_OR_CHOSEN,
    onResume: 'fixed',
  }),
  /** Ties the output head to the token embedding. */
  tieWordEmbeddings: row<boolean>({
    group: 'Model',
    value: trueOrFalse,
    placeholder: 'boolean',
    help: 'true: the output head is the token embedding',
    defaultHelp: "the architecture's, or chosen for the text",
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
    defaultHelp: PRESET_OR_CHOSEN,
    onResume: 'forced',
  }),
};
