import { architectureOf } from './architectures/registry.ts';
import type { ModelConfig } from './config.ts';
import { parts, type Parameter, type Part } from './parameter.ts';

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** All parameters of a model, in checkpoint order. */
export const parameterTable = (config: ModelConfig): Parameter[] => architectureOf(config).parameters(config);

/** The parameter of a role that every model has exactly once. */
export const parameterOf = (config: ModelConfig, role: 'token embedding'): Parameter =>
  parameterTable(config).find((parameter) => parameter.role === role)!;

/** Number of trained parameters, including position embeddings, which nanoGPT and some papers leave out. */
export const countParameters = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + (p.isTrained ? elements(p.shape) : 0), 0);

/** Trained parameters by part; they add up to the total. A tied output head counts as token embedding. */
export function parametersByPart(config: ModelConfig): Partial<Record<Part, number>> {
  const counts = new Map<Part, number>();
  for (const { part, shape, isTrained } of parameterTable(config))
    counts.set(part, (counts.get(part) ?? 0) + (isTrained ? elements(shape) : 0));
  return Object.fromEntries(parts.filter((part) => counts.has(part)).map((part) => [part, counts.get(part)]));
}
