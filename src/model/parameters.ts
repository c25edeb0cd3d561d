import { architectureOf } from './architectures/registry.ts';
import type { ModelConfig } from './config.ts';
import { withAdapters } from './lora.ts';
import { isFixed, parts, type Parameter, type Part } from './parameter.ts';

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** All parameters of a model, in checkpoint order. */
export function parameterTable(config: ModelConfig): Parameter[] {
  const architecture = architectureOf(config);
  const table = architecture.parameters(config);
  return config.lora === undefined ? table : withAdapters(table, config.lora, architecture.huggingFace);
}

/** The parameter of a role that every model has exactly once. */
export const parameterOf = (config: ModelConfig, role: 'token embedding'): Parameter =>
  parameterTable(config).find((parameter) => parameter.role === role)!;

/** Number of parameters, including position embeddings, which nanoGPT and some papers leave out, but not those of a fixed table. */
export const countParameters = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + (isFixed(p) ? 0 : elements(p.shape)), 0);

/** Number of trained parameters: fewer in a model with adapters. */
export const countTrained = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + (p.isTrained ? elements(p.shape) : 0), 0);

/**
 * The number of parameters that determines the FLOPs of training, six per parameter and token. A frozen one counts as two
 * thirds: its GEMM runs in the forward pass and for the gradient of its input, but not for its own gradient.
 */
export const costlyParameters = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + costOf(p), 0);

const costOf = (p: Parameter): number => (isFixed(p) ? 0 : (p.isTrained ? 1 : 2 / 3) * elements(p.shape));

/** As `costlyParameters`, without embeddings, of which a token only reads one row. */
export const multipliedParameters = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + (isLookedUp(p, config) ? 0 : costOf(p)), 0);

/** The parameter is a table of which a token reads one row. */
export const isLookedUp = ({ role }: Parameter, { tieWordEmbeddings }: ModelConfig): boolean =>
  role === 'position embedding' || (role === 'token embedding' && !tieWordEmbeddings);

/** Parameters by part; they add up to the total. A tied output head counts as token embedding. */
export function parametersByPart(config: ModelConfig): Partial<Record<Part, number>> {
  const counts = new Map<Part, number>();
  for (const parameter of parameterTable(config)) {
    const { part, shape } = parameter;
    counts.set(part, (counts.get(part) ?? 0) + (isFixed(parameter) ? 0 : elements(shape)));
  }
  return Object.fromEntries(parts.filter((part) => counts.has(part)).map((part) => [part, counts.get(part)]));
}
