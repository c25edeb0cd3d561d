/** What a model is made of and what it costs to train, from its shape alone: nothing is built, however large it is. */
import type { ModelConfig } from '../model/config.ts';
import { elements, HEAD, parameterTable } from '../model/parameters.ts';

/** The parts of a GPT that hold parameters. */
const partNames = ['token embedding', 'positions', 'attention', 'MLP', 'LayerNorm', 'output head'] as const;
export type PartName = (typeof partNames)[number];

/** Trained parameters of each part; they add up to all there are. A tied output head is the token embedding, and no part. */
export function parametersByPart(config: ModelConfig): Partial<Record<PartName, number>> {
  const parts: Partial<Record<PartName, number>> & Record<Exclude<PartName, 'output head'>, number> = {
    'token embedding': 0,
    positions: 0,
    attention: 0,
    MLP: 0,
    LayerNorm: 0,
  };
  for (const { name, shape, trained } of parameterTable(config))
    if (trained) parts[partOf(name)] = (parts[partOf(name)] ?? 0) + elements(shape);
  return parts;
}

function partOf(name: string): PartName {
  if (name.startsWith('wte.')) return 'token embedding';
  if (name === HEAD) return 'output head';
  if (name.startsWith('wpe.')) return 'positions';
  if (/(^|\.)ln_\w+\./.test(name)) return 'LayerNorm';
  if (name.includes('.attn.')) return 'attention';
  if (name.includes('.mlp.')) return 'MLP';
  throw new Error(`'${name}' belongs to no part`);
}

/**
 * Each parameter multiplies and adds once in the forward pass, and twice in the backward pass: once for the gradient of what
 * came in, once for its own (Kaplan et al. 2020, section 2.1; appendix D of Brown et al. 2020 counts the same way).
 */
export const FLOPS_PER_PARAMETER = 6;

/** The floating-point operations of training on so many tokens, by the rule C = 6·N·D. */
export const trainingFlops = (
  parameters: number,
  tokens: number,
  flopsPerParameter = FLOPS_PER_PARAMETER,
): number => flopsPerParameter * parameters * tokens;

/**
 * What the rule leaves out, in FLOPs a token: the products of queries with keys and of weights with values, forward and
 * backward, 3 · 2 · 2·L·T·C, of which the causal mask leaves half.
 */
export const attentionFlopsPerToken = ({ nLayer: L, blockSize: T, nEmbd: C }: ModelConfig): number =>
  6 * L * T * C;
