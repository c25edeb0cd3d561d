/**
 * The decoder of most current open models, popularized by Llama (Touvron et al. 2023). Compared with GPT-2: RMSNorm instead of
 * LayerNorm, rotary positions in every attention layer instead of learned ones at the input, SwiGLU instead of GELU, fewer key/value
 * heads than query heads (grouped-query attention), and usually no biases.
 */
import { cachedAttention } from '../../autodiff/ops/attention.ts';
import { rotaryTable } from '../../autodiff/ops/rotary.ts';
import type { Value } from '../../autodiff/graph.ts';
import type { Tape } from '../../autodiff/tape.ts';
import type { Architecture, ForwardInputs, ForwardPass, ParameterLookup } from '../architecture.ts';
import { constant, type Parameter, type ParameterRole, type Part, type Start } from '../parameter.ts';
import { initialWeights } from './initial-weights.ts';
import {
  check,
  complete,
  fieldsOf,
  hasBias,
  headSizeOf,
  keyValueHeads,
  llamaDefaults,
  mlpWidth,
  rotation,
  type FamilyMember,
  type LlamaConfig,
} from './llama-config.ts';
import { ggufFormat } from './llama-gguf.ts';
import { HEAD, huggingFaceFormat } from './llama-hugging-face.ts';

/** Weights are stored [out,in], torch.nn.Linear's layout, so y = x·Wᵀ. */
function parametersOf(member: FamilyMember, config: LlamaConfig): Parameter[] {
  const { nLayer: L, nHead: H, nEmbd: C, vocabSize: V } = config;
  const [G, D, F] = [keyValueHeads(config), headSizeOf(config), mlpWidth(config)];
  const { weight, projection, tokenEmbedding, head } = initialWeights(config);
  const table: Parameter[] = [];

  const add = (
    kind: string,
    shape: number[],
    start: Start,
    role: ParameterRole,
    part: Part,
    layer?: number,
  ): void => {
    table.push({
      name: layer === undefined ? kind : `layers.${layer}.${kind}`,
      shape,
      ...start,
      role,
      part,
      ...(layer === undefined ? {} : { layer }),
      isTrained: true,
      isDecayed: shape.length >= 2,
      kind,
    });
  };
  const norm = (name: string, size: number, layer?: number): void =>
    add(`${name}.weight`, [size], { init: constant(1) }, 'vector', 'RMSNorm', layer);

  add('embed_tokens.weight', [V, C], tokenEmbedding, 'token embedding', 'token embedding');
  for (let l = 0; l < L; l++) {
    const linear = (name: string, from: number, to: number, start: Start, part: Part): void => {
      add(`${name}.weight`, [to, from], start, 'transposed linear weight', part, l);
      if (hasBias(member, config, name)) add(`${name}.bias`, [to], { init: constant(0) }, 'vector', part, l);
    };
    norm('input_layernorm', C, l);
    linear('self_attn.q_proj', C, H * D, weight, 'attention');
    linear('self_attn.k_proj', C, G * D, weight, 'attention');
    linear('self_attn.v_proj', C, G * D, weight, 'attention');
    if (member.hasQkNorm) {
      norm('self_attn.q_norm', D, l);
      norm('self_attn.k_norm', D, l);
    }
    linear('self_attn.o_proj', H * D, C, projection, 'attention');
    norm('post_attention_layernorm', C, l);
    linear('mlp.gate_proj', C, F, weight, 'MLP');
    linear('mlp.up_proj', C, F, weight, 'MLP');
    linear('mlp.down_proj', F, C, projection, 'MLP');
  }
  norm('norm', C);
  if (!config.tieWordEmbeddings) add(HEAD, [V, C], head, 'output head', 'output head');
  return table;
}

/** GPT-2's pre-norm block with other parts: x + attention(norm(x)), then x + mlp(norm(x)). */
function forward(
  member: FamilyMember,
  t: Tape,
  config: LlamaConfig,
  p: ParameterLookup,
  inputs: ForwardInputs,
): ForwardPass {
  const { nLayer, rmsNormEpsilon } = config;
  const D = headSizeOf(config);
  const randomness = { rng: inputs.rng, probability: inputs.dropout };
  let sites = 0; // each dropout has its own random stream
  const dropout = (x: Value): Value => {
    const site = sites++;
    return inputs.dropout > 0 ? t.scope('dropout', () => t.dropout(x, randomness, site)) : x;
  };
  const linear = (x: Value, l: number, name: string): Value => {
    const full = `layers.${l}.${name}`;
    const bias = hasBias(member, config, name) ? p(`${full}.bias`) : null;
    return t.scope(full, () => t.linear(x, p(`${full}.weight`), bias, { transposed: true }));
  };
  const norm = (x: Value, name: string): Value =>
    t.scope(name, () => t.rmsNorm(x, p(`${name}.weight`), rmsNormEpsilon));

  const angles = t.scope('rotary', () => rotaryTable(t, inputs.positions, rotation(config))); // [B,T,D]
  const rotate = (x: Value, name: string): Value => t.scope(`${name}.rotary`, () => t.rotary(x, angles));

  const operands: { q: Value; k: Value; v: Value }[] = [];
  const attention = (x: Value, l: number): Value => {
    const name = `layers.${l}.self_attn`;
    const project = (which: 'q' | 'k'): Value => {
      const y = linear(x, l, `self_attn.${which}_proj`);
      return rotate(member.hasQkNorm ? norm(y, `${name}.${which}_norm`) : y, `${name}.${which}`);
    };
    const q = project('q'); // [B,T,H·D]
    const k = project('k'); // [B,T,G·D]
    const v = linear(x, l, 'self_attn.v_proj'); // [B,T,G·D]
    operands.push({ q, k, v });
    const cache = inputs.caches?.[l];
    const y = t.scope(name, () =>
      cache === undefined
        ? t.attention({ q, k, v, starts: inputs.starts }, D, randomness, sites++)
        : cachedAttention(t, { q, k, v }, inputs.positions, cache),
    ); // [B,T,H·D]
    return dropout(linear(y, l, 'self_attn.o_proj')); // [B,T,C]
  };
  const mlp = (x: Value, l: number): Value => {
    const gate = linear(x, l, 'mlp.gate_proj'); // [B,T,F]
    const up = linear(x, l, 'mlp.up_proj'); // [B,T,F]
    const hidden = t.scope(`layers.${l}.mlp`, () => t.swiglu(gate, up));
    return dropout(linear(hidden, l, 'mlp.down_proj')); // [B,T,C]
  };
  const residual = (x: Value, y: Value, l: number): Value =>
    t.scope(`layers.${l}.residual`, () => t.add(x, y));

  let x = t.scope('embedding', () => dropout(t.embedding(inputs.ids, p('embed_tokens.weight')))); // [B,T,C]
  const residuals = [x];
  for (let l = 0; l < nLayer; l++) {
    x = residual(x, attention(norm(x, `layers.${l}.input_layernorm`), l), l);
    x = residual(x, mlp(norm(x, `layers.${l}.post_attention_layernorm`), l), l);
    residuals.push(x);
  }
  return { hidden: finalNorm(t, config, p, x), residuals, attention: operands };
}

const finalNorm = (t: Tape, { rmsNormEpsilon }: LlamaConfig, p: ParameterLookup, x: Value): Value =>
  t.scope('norm', () => t.rmsNorm(x, p('norm.weight'), rmsNormEpsilon));

const head = (t: Tape, { tieWordEmbeddings }: LlamaConfig, p: ParameterLookup, hidden: Value): Value =>
  t.scope('lm_head', () =>
    t.linear(hidden, p(tieWordEmbeddings ? 'embed_tokens.weight' : HEAD), null, { transposed: true }),
  );

function gradientExamples({ name, biasFields }: FamilyMember): Architecture<LlamaConfig>['gradientExamples'] {
  const tiny: LlamaConfig = {
    ...llamaDefaults,
    arch: name,
    vocabSize: 11,
    blockSize: 6,
    nLayer: 2,
    nHead: 2,
    nEmbd: 8,
    nInner: 10,
    dropout: 0.2,
  };
  const biases = Object.fromEntries(biasFields.map((field) => [field, true]));
  const ropeScaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 6 } as const;
  return [
    { name: `${name} architecture`, config: tiny },
    {
      name: `${name}, grouped queries, wide heads, tied head`,
      config: { ...tiny, nHead: 4, nKvHead: 2, headSize: 4, tieWordEmbeddings: true, dropout: 0 },
    },
    { name: `${name}, biases, scaled rotary positions`, config: { ...tiny, ...biases, ropeScaling } },
  ];
}

/** An architecture of the family. */
export function llamaLike(member: FamilyMember): Architecture<LlamaConfig> {
  return {
    name: member.name,
    fields: fieldsOf(member),
    tieWordEmbeddings: llamaDefaults.tieWordEmbeddings,
    initializationForMuon: 'fan-in',
    complete: (config) => complete(member, config),
    check,
    isUnboundedInLength: () => true,
    describe: (config) =>
      [
        'rotary positions',
        'RMSNorm',
        'SwiGLU',
        ...(member.hasQkNorm ? ['QK-norm'] : []),
        ...(config.ropeScaling === undefined ? [] : [`${config.ropeScaling.rope_type} rotary scaling`]),
        ...(keyValueHeads(config) === config.nHead ? [] : [`${keyValueHeads(config)} key/value heads`]),
      ].join(', '),
    parameters: (config) => parametersOf(member, config),
    forward: (t, config, p, inputs) => forward(member, t, config, p, inputs),
    finalNorm,
    head,
    cache: (config) => ({ heads: keyValueHeads(config), headSize: headSizeOf(config) }),
    // As for GPT-2: 3 · 2 · 2·L·T·H·D, halved by the causal mask. Grouped-query attention saves memory, but no FLOPs.
    attentionFlopsPerToken: (config) =>
      6 * config.nLayer * config.blockSize * config.nHead * headSizeOf(config),
    huggingFace: huggingFaceFormat(member),
    gguf: ggufFormat(member),
    gradientExamples: gradientExamples(member),
  };
}

export const llama = llamaLike({
  name: 'llama',
  class: 'LlamaForCausalLM',
  hasQkNorm: false,
  hasQkvBias: false,
  biasFields: ['attentionBias', 'mlpBias'],
  rotatesNeighborsInGguf: true,
  configDefaults: {},
  ownFields: {},
});
