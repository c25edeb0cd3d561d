import type { ModelConfig } from './config.ts';
import { elements, parameterTable } from './parameters.ts';

/** The parts of a GPT that hold parameters. */
export const partNames = ['token embedding', 'positions', 'attention', 'MLP', 'LayerNorm'] as const;
export type PartName = (typeof partNames)[number];

/** How many trained parameters each part has; together, all there are. The output head is the token embedding. */
export function parametersByPart(config: ModelConfig): Record<PartName, number> {
  const parts = { 'token embedding': 0, positions: 0, attention: 0, MLP: 0, LayerNorm: 0 };
  for (const { name, shape, trained } of parameterTable(config))
    if (trained) parts[partOf(name)] += elements(shape);
  return parts;
}

function partOf(name: string): PartName {
  if (name.startsWith('wte.')) return 'token embedding';
  if (name.startsWith('wpe.')) return 'positions';
  if (/(^|\.)ln_\w+\./.test(name)) return 'LayerNorm';
  if (name.includes('.attn.')) return 'attention';
  if (name.includes('.mlp.')) return 'MLP';
  throw new Error(`'${name}' belongs to no part`);
}
