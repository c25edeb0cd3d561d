/** The architectures there are. A new one is a file in this folder and a line here. */
import type { Architecture, ConfigField } from '../architecture.ts';
import { checkCommonFields, type ModelConfig } from '../config.ts';
import { gpt2, type Gpt2Config } from './gpt2.ts';

const architectures = new Map<string, Architecture>();

/** Makes an architecture known by its name. */
export function register(architecture: Architecture): void {
  architectures.set(architecture.name, architecture);
}

register(gpt2);

/** The fields of configs that not every architecture has. */
export type ArchitectureFields = Omit<Gpt2Config, keyof ModelConfig>;

export const allArchitectures = (): Architecture[] => [...architectures.values()];
export const architectureNames = (): string[] => [...architectures.keys()];

/** The architecture of a model. @throws Error for a name that is not registered: whoever reads one from outside checks it */
export function architectureOf({ arch }: Pick<ModelConfig, 'arch'>): Architecture {
  const architecture = architectures.get(arch);
  if (architecture === undefined) throw new Error(`there is no architecture '${arch}'`);
  return architecture;
}

/** The architecture of models with this "model_type" in config.json. */
export const architectureOfType = (modelType: unknown): Architecture | undefined =>
  [...architectures.values()].find(({ huggingFace }) => huggingFace.modelTypes.includes(modelType as string));

/** The values of "model_type" that can be read. */
export const modelTypes = (): string[] =>
  [...architectures.values()].flatMap(({ huggingFace }) => huggingFace.modelTypes);

/** The fields of an architecture's config, taken from an object that may have others too. */
export const fieldsOf = (arch: string, from: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.keys(architectureOf({ arch }).fields).map((name) => [
      name,
      (from as Record<string, unknown>)[name],
    ]),
  );

/** The fields of all architectures. Those of one name mean the same in all that have them. */
export const architectureFields = (): Record<string, ConfigField> =>
  Object.assign({}, ...allArchitectures().map(({ fields }) => fields)) as Record<string, ConfigField>;

/** Checks that a model can be built; returns its config. @throws UsageError naming the field, its value and the way out */
export function checkConfig<Config extends ModelConfig>(config: Config): Config {
  checkCommonFields(config);
  architectureOf(config).check(config);
  return config;
}
