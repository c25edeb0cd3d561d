/**
 * config.json in Hugging Face's format: the fields common to all architectures. Each architecture adds its own
 * (model/architectures/).
 */
import { UsageError } from '../errors.ts';
import { isJsonObject, parseJsonObject, shownJson } from '../json.ts';
import { libraryTerms } from '../messages.ts';
import type { DescribedModel } from '../model/architecture.ts';
import {
  architectureOf,
  architectureOfType,
  checkConfig,
  modelTypes,
} from '../model/architectures/registry.ts';
import { ConfigReader } from '../model/config-reader.ts';
import type { ModelConfig } from '../model/config.ts';
import type { SpecialTokens } from '../tokenizer/tokenizer.ts';
import { boundaryIds } from './generation-config.ts';
import { OWN_FORMAT, OWN_MARK } from './own-config.ts';

/** Values of "torch_dtype": the dtype of the weights, in which `transformers` loads them. */
export type TorchDtype = 'float32' | 'float16' | 'bfloat16';

/** The content of config.json. */
export function toConfigJson(
  config: ModelConfig,
  tokenizer: { readonly special: SpecialTokens },
  dtype: TorchDtype = 'float32',
): Record<string, unknown> {
  const { huggingFace } = architectureOf(config);
  return {
    ...huggingFace.toConfigJson(config),
    ...boundaryIds(tokenizer),
    torch_dtype: dtype,
    ...OWN_MARK, // transformers ignores the fields from here on
    ...huggingFace.toOwnFields(config),
  };
}

/**
 * Reads a config.json written by this program or by Hugging Face.
 *
 * @throws UserError naming the field, if the model is not supported
 */
export function fromConfigJson(text: string, file: string): DescribedModel {
  const fail = (what: string): never =>
    new ConfigReader({}, file).fail(what, 'the file is damaged; use another copy', 'damaged-file');
  const json = new ConfigReader(parseJsonObject(text, fail), file);
  const format = json.get('gpt_trainer_format');
  if (typeof format === 'number' && format > OWN_FORMAT)
    json.fail(
      `is from a newer version of gpt (format ${format}; this one reads ${OWN_FORMAT})`,
      'update gpt to read it',
      'newer-version',
    );
  json.oneOf('gpt_trainer_format', [OWN_FORMAT]);
  const modelType = json.oneOf('model_type', modelTypes());
  refuseQuantized(json);
  const { huggingFace } = architectureOfType(modelType)!;
  const described = huggingFace.fromConfigJson(json);
  return { ...described, config: checkNamed(described.config, huggingFace.configNames, json) };
}

/** Quantized weights are codes, not numbers to compute with. */
function refuseQuantized(json: ConfigReader): void {
  const quantization = json.get('quantization_config');
  if (quantization === undefined) return;
  const method = isJsonObject(quantization) ? quantization['quant_method'] : undefined;
  json.fail(
    `"quantization_config" says that the weights are quantized${method === undefined ? '' : ` by ${shownJson(method)}`}, which is not supported`,
    'use the original model in bf16, f16 or float32, or transformers: model.dequantize().save_pretrained(…)',
  );
}

/** Checks and completes a config; errors name the fields as config.json does. @throws UserError */
function checkNamed(
  config: ModelConfig,
  names: Readonly<Record<string, string>>,
  json: ConfigReader,
): ModelConfig {
  try {
    return checkConfig(config);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return json.fail(error.in({ ...libraryTerms, option: (name) => `"${names[name] ?? name}"` }).message);
  }
}
