/** adapter_config.json, in which PEFT describes an adapter. */
import { parseJsonObject, shownJson } from '../json.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { ConfigReader } from '../model/config-reader.ts';
import type { ModelConfig } from '../model/config.ts';
import type { LoraConfig } from '../model/lora.ts';
import { readTextFile } from '../read-file.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';

/** In bytes. A file that lists each layer of a deep model as a target has a few hundred kilobytes. */
const LARGEST = 1e6;

/** An adapter as its file describes it. */
export interface AdapterDescription extends Omit<LoraConfig, 'base' | 'targets'> {
  /** "all-linear": every linear layer but the output head. */
  readonly targets: readonly string[] | 'all-linear';
  /** "base_model_name_or_path"; undefined for null. */
  readonly basePath: string | undefined;
}

/** The content of adapter_config.json, without the fields for which PEFT's defaults hold. */
export function toAdapterConfigJson(config: ModelConfig, lora: LoraConfig): Record<string, unknown> {
  return {
    base_model_name_or_path: lora.base.path,
    bias: 'none',
    // transformers' Conv1D, GPT-2's linear layer, stores its weights [in,out].
    fan_in_fan_out: architectureOf(config)
      .parameters(config)
      .some(({ role }) => role === 'linear weight'),
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: lora.alpha,
    lora_dropout: lora.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: lora.rank,
    target_modules: lora.targets,
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: lora.isRankStabilized,
  };
}

/** Fields that do not change what an adapter computes, or whose values `readAdapterConfig` checks. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  'bias',
  'ensure_weight_tying',
  'fan_in_fan_out', // follows from the base model
  'inference_mode',
  'init_lora_weights',
  'lora_alpha',
  'lora_dropout',
  'megatron_core',
  'peft_type',
  'peft_version',
  'qalora_group_size',
  'r',
  'revision',
  'runtime_config',
  'target_modules',
  'task_type',
  'use_rslora',
]);

/** Initializations that leave the base model unchanged. Others, such as "pissa", move part of it into the adapter. */
const INITIALIZATIONS = [true, false, 'gaussian', 'eva', 'orthogonal'] as const;

/** @throws UserError naming the field that is invalid or has an unsupported value */
export function readAdapterConfig(file: string): AdapterDescription {
  const damaged = (what: string): never =>
    new ConfigReader({}, file).fail(what, 'the file is damaged; use another copy', 'damaged-file');
  const object = parseJsonObject(readTextFile(file, LARGEST), damaged);
  const json = new ConfigReader(object, file);
  json.oneOf('peft_type', [undefined, 'LORA']);
  if (json.get('peft_type') === undefined) damaged('"peft_type" is missing');
  json.oneOf('task_type', ['CAUSAL_LM']);
  json.oneOf('bias', ['none']);
  json.oneOf('init_lora_weights', INITIALIZATIONS);
  for (const [field, value] of Object.entries(object))
    if (!UNDERSTOOD.has(field) && !isUnset(value))
      json.fail(`"${field}" is ${shownJson(value)}, which is not supported`, MERGE_FIRST);
  const alpha = json.get('lora_alpha');
  if (typeof alpha !== 'number' || !(alpha > 0))
    return damaged(`"lora_alpha" is ${shownJson(alpha)}, not a number above 0`);
  const base = json.get('base_model_name_or_path');
  if (base !== undefined && typeof base !== 'string')
    return damaged(`"base_model_name_or_path" is ${shownJson(base)}, not a path`);
  return {
    rank: json.wholeNumber('r'),
    alpha,
    dropout: json.belowOne('lora_dropout', 0),
    targets: readTargets(json),
    isRankStabilized: json.oneOf('use_rslora', [false, true]),
    basePath: base === '' ? undefined : base,
  };
}

const MERGE_FIRST = 'merge the adapter into its base with PEFT: model.merge_and_unload().save_pretrained(…)';

const isUnset = (value: unknown): boolean =>
  value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0);

function readTargets(json: ConfigReader): AdapterDescription['targets'] {
  const value = json.get('target_modules');
  if (value === 'all-linear') return value;
  if (typeof value === 'string')
    json.fail(
      `"target_modules" is the pattern ${shownJson(value)}; only a list of names or "all-linear" is supported`,
      'save the adapter again with a list of names',
    );
  if (Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string'))
    return value;
  return json.fail(
    `"target_modules" is ${shownJson(value)}, not a list of names`,
    'correct the file, or use another copy',
    'damaged-file',
  );
}
