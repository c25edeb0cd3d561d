/** All architectures. A new one is a file in this folder and a line here. */
import { UsageError } from '../../errors.ts';
import { shownJson } from '../../json.ts';
import { optionName } from '../../messages.ts';
import type { Architecture, ConfigField } from '../architecture.ts';
import { checkCommonFields, type ModelConfig } from '../config.ts';
import { checkTargets } from '../lora.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

const builtIn = [gpt2, llama, mistral, qwen2, qwen3];

const architectures = new Map<string, Architecture>();
let allFields: Readonly<Record<string, ConfigField>> | undefined;

/** Adds an architecture under its name. */
export function register(architecture: Architecture): void {
  architectures.set(architecture.name, architecture);
  allFields = undefined;
}

for (const architecture of builtIn) register(architecture);

type ConfigOf<A> = A extends Architecture<infer Config> ? Config : never;
/** A | B → A & B: parameters are inferred contravariantly. */
type Intersection<Union> = (Union extends unknown ? (of: Union) => void : never) extends (
  of: infer All,
) => void
  ? All
  : never;
/** Config fields that only some architectures have. */
export type ArchitectureFields = Omit<Intersection<ConfigOf<(typeof builtIn)[number]>>, keyof ModelConfig>;

export const allArchitectures = (): Architecture[] => [...architectures.values()];
export const architectureNames = (): string[] => [...architectures.keys()];

/** The architecture of a config. @throws Error if it is not registered; names from files are checked before */
export function architectureOf({ arch }: Pick<ModelConfig, 'arch'>): Architecture {
  const architecture = architectures.get(arch);
  if (architecture === undefined) throw new Error(`there is no architecture '${arch}'`);
  return architecture;
}

/** The architecture of a "model_type" in config.json. */
export const architectureOfType = (modelType: unknown): Architecture | undefined =>
  [...architectures.values()].find(({ huggingFace }) => huggingFace.modelTypes.includes(modelType as string));

/** Values of "model_type" that can be read. */
export const modelTypes = (): string[] =>
  [...architectures.values()].flatMap(({ huggingFace }) => huggingFace.modelTypes);

/** The fields of an architecture, picked from an object that may have others too. */
export const fieldsOf = (arch: string, from: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.keys(architectureOf({ arch }).fields).map((name) => [
      name,
      (from as Record<string, unknown>)[name],
    ]),
  );

/**
 * The fields of all architectures. A name used by several means the same in each.
 *
 * @returns the same object until another architecture is registered
 */
export const architectureFields = (): Readonly<Record<string, ConfigField>> =>
  (allFields ??= Object.assign({}, ...allArchitectures().map(({ fields }) => fields)) as Record<
    string,
    ConfigField
  >);

/** Validates a config and completes it. @throws UsageError naming the field, its value and a remedy */
export function checkConfig<Config extends ModelConfig>(config: Config): Config {
  checkCommonFields(config);
  const architecture = architectureOf(config);
  checkOwnFields(config, architecture.fields);
  architecture.check(config);
  const complete = architecture.complete(config) as Config;
  if (config.lora !== undefined)
    checkTargets(architecture.parameters(complete), config.lora.targets, architecture.huggingFace);
  return complete;
}

/** @throws UsageError unless the fields of its architecture have valid values; those without a default may be absent */
function checkOwnFields(config: ModelConfig, fields: Readonly<Record<string, ConfigField>>): void {
  for (const [name, { value: rule, default: fallback }] of Object.entries(fields)) {
    const value = (config as unknown as Readonly<Record<string, unknown>>)[name];
    if ((value === undefined && fallback === undefined) || rule.is(value)) continue;
    throw new UsageError(
      'bad-option-value',
      `${optionName(name)} is ${shownJson(value)}; it must be ${rule.expected}`,
    );
  }
}
