import { architectureOf } from './architectures/registry.ts';
import type { ModelConfig } from './config.ts';
import { parts, type Parameter, type Part } from './parameter.ts';

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Every parameter of a model, in the order of its checkpoint. */
export const parameterTable = (config: ModelConfig): Parameter[] => architectureOf(config).parameters(config);

/** The parameter of a role that every model has exactly once. */
export const parameterOf = (config: ModelConfig, role: 'token embedding'): Parameter =>
  parameterTable(config).find((parameter) => parameter.role === role)!;

/** The number of trained parameters. nanoGPT and papers often leave position embeddings out; this counts everything. */
export const countParameters = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + (p.isTrained ? elements(p.shape) : 0), 0);

/** Trained parameters of each part that the model has; they add up to all there are. A tied output head is the token embedding. */
export function parametersByPart(config: ModelConfig): Partial<Record<Part, number>> {
  const counts = new Map<Part, number>();
  for (const { part, shape, isTrained } of parameterTable(config))
    counts.set(part, (counts.get(part) ?? 0) + (isTrained ? elements(shape) : 0));
  return Object.fromEntries(parts.filter((part) => counts.has(part)).map((part) => [part, counts.get(part)]));
}
