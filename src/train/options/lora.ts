/** Options of low-rank adapters (../../model/lora.ts), named as in PEFT. */
import { object } from '../../json-rules.ts';
import type { BaseModel } from '../../model/lora.ts';
import { optionName } from '../../messages.ts';
import { filePath, nonEmptyText, trueOrFalse } from '../../values.ts';
import { optional, orAbsent, row, unused } from './row.ts';
import { aboveZero, belowOne, positive } from './values.ts';

const withRank = unused(
  ({ loraRank }) => loraRank !== undefined,
  () => `without ${optionName('loraRank')}`,
);

const GROUP = 'Adapters (LoRA)';

export const loraRows = {
  loraRank: optional<number>({
    group: GROUP,
    value: positive,
    placeholder: 'r',
    help: 'train adapters of this rank beside the frozen model of --init-from',
    onResume: 'fixed',
  }),
  loraAlpha: row<number | undefined>({
    group: GROUP,
    value: aboveZero,
    placeholder: 'x',
    help: 'the adapters are scaled by alpha/rank',
    default: ({ loraRank }) => (loraRank === undefined ? undefined : 2 * loraRank),
    defaultHelp: 'twice the rank',
    caution: withRank,
    onResume: 'fixed',
    stored: orAbsent(aboveZero),
  }),
  loraDropout: row<number | undefined>({
    group: GROUP,
    value: belowOne,
    placeholder: 'p',
    help: "dropout probability of the adapters' input",
    default: ({ loraRank }) => (loraRank === undefined ? undefined : 0),
    defaultHelp: '0',
    caution: withRank,
    onResume: 'forced',
    stored: orAbsent(belowOne),
  }),
  /** Comma-separated. */
  loraTargets: optional<string>({
    group: GROUP,
    value: nonEmptyText,
    placeholder: 'names',
    help: 'linear layers with adapters: q_proj,v_proj',
    defaultHelp: 'all in attention and MLP',
    caution: withRank,
    onResume: 'fixed',
  }),
  useRslora: row<boolean | undefined>({
    group: GROUP,
    value: trueOrFalse,
    placeholder: 'answer',
    help: 'true: scale by alpha/√rank',
    default: ({ loraRank }) => (loraRank === undefined ? undefined : false),
    defaultHelp: 'false',
    caution: withRank,
    onResume: 'fixed',
    stored: orAbsent(trueOrFalse),
  }),
  /** Set by starting-model.ts. */
  loraBase: optional<BaseModel>({
    group: GROUP,
    value: { ...object, read: () => undefined },
    placeholder: 'model',
    help: 'the frozen model: its folder, and the fingerprint of its weights',
    hasFlag: false,
    onResume: 'fixed',
  }),
  base: optional<string>({
    group: GROUP,
    value: filePath,
    placeholder: 'folder',
    help: "an adapter's base model, if it has moved",
    onResume: 'invocation',
  }),
};

/** Peak learning rate of adapters: the usual one of PEFT and Unsloth. */
export const LORA_LEARNING_RATE = 2e-4;
/** Weight decay of adapters, as in Unsloth. */
export const LORA_WEIGHT_DECAY = 0.01;
