/**
 * The decoder of today's open models, as Llama (Touvron et al. 2023) made it common. Against GPT-2: RMSNorm instead of
 * LayerNorm, rotary positions in every attention instead of learned ones at the start, SwiGLU instead of GELU, fewer key/value
 * heads than query heads (grouped queries), and no biases.
 */
import { cachedAttention } from '../../autodiff/ops/attention.ts';
import { rotaryTable } from '../../autodiff/ops/rotary.ts';
import type { Value } from '../../autodiff/graph.ts';
import type { Tape } from '../../autodiff/tape.ts';
import { optionName, UsageError } from '../../errors.ts';
import { shownJson } from '../../json.ts';
import { number, wholeNumber } from '../../values.ts';
import type {
  Architecture,
  ConfigField,
  DescribedModel,
  ForwardInputs,
  ForwardPass,
  ParameterLookup,
} from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { checkHeads, checkWholeNumber, type ModelConfig } from '../config.ts';
import type { Init, Parameter, Part, Role } from '../parameter.ts';
import { innerWidth } from './inner-width.ts';

export interface LlamaConfig extends ModelConfig {
  /** G: heads of keys and values, each read by H/G query heads; H, one each, where absent. */
  readonly nKvHead?: number | undefined;
  /** D: channels per head; C/H where absent. */
  readonly headSize?: number | undefined;
  /** F: hidden channels of the MLP; see `mlpWidth` where absent. */
  readonly nInner?: number | undefined;
  /** θ: channel pair i of a head turns by θ^(−2i/D) radians per position. */
  readonly ropeTheta: number;
  /** ε under the root of RMSNorm. */
  readonly rmsNormEpsilon: number;
}

const fields = {
  nKvHead: {
    value: wholeNumber({ min: 1 }),
    default: undefined,
    placeholder: 'n',
    help: 'key/value heads (llama, qwen3)',
    defaultHelp: 'one per query head',
  },
  headSize: {
    value: wholeNumber({ min: 2 }),
    default: undefined,
    placeholder: 'n',
    help: 'channels per head (llama, qwen3)',
    defaultHelp: 'n-embd/n-head',
  },
  nInner: innerWidth,
  ropeTheta: {
    value: number({ above: 1 }),
    default: 10_000,
    placeholder: 'x',
    help: 'base of the rotary frequencies (llama, qwen3)',
  },
  rmsNormEpsilon: {
    value: number({ above: 0, below: 1 }),
    default: 1e-6,
    placeholder: 'x',
    help: 'ε under the root of RMSNorm',
    hasFlag: false,
  },
} as const satisfies Record<Exclude<keyof LlamaConfig, keyof ModelConfig>, ConfigField>;

/** What distinguishes the members of the family. */
interface Variant {
  readonly name: string;
  /** The class of `transformers`. */
  readonly class: string;
  /** Whether queries and keys are normalized per head before they are rotated, with weights [D] of their own (QK-norm). */
  readonly hasQkNorm: boolean;
  /** What an absent "num_key_value_heads" and "head_dim" in config.json mean. */
  readonly configDefaults: { readonly keyValueHeads?: number; readonly headDim?: number };
}

/** Three matrices instead of GPT-2's two, each 2/3 as wide, make an MLP of equal size; rounded up to whole SIMD panels. */
const mlpWidth = ({ nInner, nEmbd }: LlamaConfig): number => nInner ?? Math.ceil((8 * nEmbd) / 3 / 32) * 32;

const keyValueHeads = ({ nKvHead, nHead }: LlamaConfig): number => nKvHead ?? nHead;
const headSizeOf = ({ headSize, nEmbd, nHead }: LlamaConfig): number => headSize ?? nEmbd / nHead;

const complete = (config: LlamaConfig): LlamaConfig => ({
  ...config,
  nKvHead: keyValueHeads(config),
  headSize: headSizeOf(config),
  nInner: mlpWidth(config),
});

function check(config: LlamaConfig): void {
  if (config.headSize === undefined) checkHeads(config);
  checkWholeNumber('nInner', mlpWidth(config));
  const [H, G, D] = [config.nHead, keyValueHeads(config), headSizeOf(config)];
  checkWholeNumber('nKvHead', G);
  if (H % G !== 0)
    throw new UsageError(
      'bad-option-value',
      `${optionName('nKvHead')} ${G} does not divide ${optionName('nHead')} ${H}`,
      {
        hint: 'each key/value head is read by the same number of query heads',
      },
    );
  if (D % 2 !== 0)
    throw new UsageError(
      'bad-option-value',
      `a head has ${D} channels; rotary positions need an even number`,
      {
        hint: `change ${optionName('nHead')}, ${optionName('nEmbd')} or ${optionName('headSize')}`,
      },
    );
  if (!fields.ropeTheta.value.is(config.ropeTheta))
    throw new UsageError(
      'bad-option-value',
      `${optionName('ropeTheta')} is ${config.ropeTheta}; it must be ${fields.ropeTheta.value.expected}`,
    );
  if (!(config.rmsNormEpsilon > 0 && config.rmsNormEpsilon < 1))
    throw new UsageError(
      'bad-option-value',
      `the RMSNorm epsilon is ${config.rmsNormEpsilon}; it must be above 0 and below 1`,
    );
}

const HEAD = 'lm_head.weight';

type Start = Pick<Parameter, 'init' | 'fanIn'>;
const normal = (std: number): Init => ({ kind: 'normal', std });

/** Weights are stored [out,in], torch.nn.Linear's layout, so y = x·Wᵀ. */
function parametersOf({ hasQkNorm }: Variant, config: LlamaConfig): Parameter[] {
  const { nLayer: L, nHead: H, nEmbd: C, vocabSize: V } = config;
  const [G, D, F] = [keyValueHeads(config), headSizeOf(config), mlpWidth(config)];
  const init = normal(0.02);
  const weight: Start = { init, fanIn: normal(1 / Math.sqrt(C)) };
  const projection: Start = { init: normal(0.02 / Math.sqrt(2 * L)), fanIn: { kind: 'constant', value: 0 } };
  // Rows of the embedding are read as they are, so they may be large, unless they are the output head as well.
  const embedding: Start = config.tieWordEmbeddings ? { init } : { init, fanIn: normal(0.8) };
  const head: Start = { init, fanIn: normal(0.001) };
  const table: Parameter[] = [];

  const add = (kind: string, shape: number[], start: Start, role: Role, part: Part, layer?: number): void => {
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
    add(`${name}.weight`, [size], { init: { kind: 'constant', value: 1 } }, 'vector', 'RMSNorm', layer);

  add('embed_tokens.weight', [V, C], embedding, 'token embedding', 'token embedding');
  for (let l = 0; l < L; l++) {
    const linear = (name: string, from: number, to: number, start: Start, part: Part): void =>
      add(`${name}.weight`, [to, from], start, 'transposed linear weight', part, l);
    norm('input_layernorm', C, l);
    linear('self_attn.q_proj', C, H * D, weight, 'attention');
    linear('self_attn.k_proj', C, G * D, weight, 'attention');
    linear('self_attn.v_proj', C, G * D, weight, 'attention');
    if (hasQkNorm) {
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
  { hasQkNorm }: Variant,
  t: Tape,
  config: LlamaConfig,
  p: ParameterLookup,
  inputs: ForwardInputs,
): ForwardPass {
  const { nLayer, ropeTheta, rmsNormEpsilon } = config;
  const D = headSizeOf(config);
  const randomness = { rng: inputs.rng, probability: inputs.dropout };
  let sites = 0; // every dropout draws from its own site
  const dropout = (x: Value): Value => {
    const site = sites++;
    return inputs.dropout > 0 ? t.scope('dropout', () => t.dropout(x, randomness, site)) : x;
  };
  const linear = (x: Value, name: string): Value =>
    t.scope(name, () => t.linear(x, p(`${name}.weight`), null, { transposed: true }));
  const norm = (x: Value, name: string): Value =>
    t.scope(name, () => t.rmsNorm(x, p(`${name}.weight`), rmsNormEpsilon));

  const angles = t.scope('rotary', () => rotaryTable(t, inputs.positions, D, ropeTheta)); // [B,T,D]
  const rotate = (x: Value, name: string): Value => t.scope(`${name}.rotary`, () => t.rotary(x, angles));

  const operands: { q: Value; k: Value; v: Value }[] = [];
  const attention = (x: Value, l: number): Value => {
    const name = `layers.${l}.self_attn`;
    const project = (which: 'q' | 'k'): Value => {
      const y = linear(x, `${name}.${which}_proj`);
      return rotate(hasQkNorm ? norm(y, `${name}.${which}_norm`) : y, `${name}.${which}`);
    };
    const q = project('q'); // [B,T,H·D]
    const k = project('k'); // [B,T,G·D]
    const v = linear(x, `${name}.v_proj`); // [B,T,G·D]
    operands.push({ q, k, v });
    const cache = inputs.caches?.[l];
    const y = t.scope(name, () =>
      cache === undefined
        ? t.attention({ q, k, v }, D, randomness, sites++)
        : cachedAttention(t, { q, k, v }, inputs.positions, cache),
    ); // [B,T,H·D]
    return dropout(linear(y, `${name}.o_proj`)); // [B,T,C]
  };
  const mlp = (x: Value, l: number): Value => {
    const name = `layers.${l}.mlp`;
    const gate = linear(x, `${name}.gate_proj`); // [B,T,F]
    const up = linear(x, `${name}.up_proj`); // [B,T,F]
    const hidden = t.scope(name, () => t.swiglu(gate, up));
    return dropout(linear(hidden, `${name}.down_proj`)); // [B,T,C]
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

const PREFIX = 'model.';

/** `rope_theta` is where transformers 4 and llama.cpp look for it, `rope_parameters` where transformers 5 does. */
const toConfigJson = (variant: Variant, config: LlamaConfig): Record<string, unknown> => ({
  architectures: [variant.class],
  model_type: variant.name,
  vocab_size: config.vocabSize,
  max_position_embeddings: config.blockSize,
  hidden_size: config.nEmbd,
  intermediate_size: mlpWidth(config),
  num_hidden_layers: config.nLayer,
  num_attention_heads: config.nHead,
  num_key_value_heads: keyValueHeads(config),
  head_dim: headSizeOf(config),
  hidden_act: 'silu',
  rms_norm_eps: config.rmsNormEpsilon,
  rope_theta: config.ropeTheta,
  rope_parameters: { rope_type: 'default', rope_theta: config.ropeTheta },
  attention_bias: false,
  mlp_bias: false,
  attention_dropout: config.dropout,
  initializer_range: 0.02,
  tie_word_embeddings: config.tieWordEmbeddings,
  use_cache: true,
});

/** Options of the family's classes that compute another function are refused by name. */
function fromConfigJson(variant: Variant, json: ConfigReader): DescribedModel<LlamaConfig> {
  json.oneOf('hidden_act', ['silu', 'swish']);
  json.oneOf('attention_bias', [false]);
  json.oneOf('mlp_bias', [false]);
  json.oneOf('use_sliding_window', [false]);
  const nHead = json.wholeNumber('num_attention_heads');
  const nEmbd = json.wholeNumber('hidden_size');
  const orDefault = (field: string, value: number): number =>
    json.get(field) === undefined ? value : json.wholeNumber(field);
  const { configDefaults } = variant;
  const headSize = orDefault('head_dim', configDefaults.headDim ?? nEmbd / nHead);
  const nKvHead = orDefault('num_key_value_heads', configDefaults.keyValueHeads ?? nHead);
  if (!Number.isInteger(headSize))
    json.fail(`"num_attention_heads" is ${nHead}, which does not divide "hidden_size", ${nEmbd}`);
  if (headSize % 2 !== 0) json.fail(`"head_dim" is ${headSize}; rotary positions need an even number`);
  if (nHead % nKvHead !== 0)
    json.fail(`"num_key_value_heads" is ${nKvHead}, which does not divide "num_attention_heads", ${nHead}`);
  const rmsNormEpsilon = json.share('rms_norm_eps', 1e-6);
  if (rmsNormEpsilon === 0) json.fail('"rms_norm_eps" is 0; it must be above 0');
  return {
    config: {
      arch: variant.name,
      vocabSize: json.wholeNumber('vocab_size'),
      blockSize: json.wholeNumber('max_position_embeddings'),
      nLayer: json.wholeNumber('num_hidden_layers'),
      nHead,
      nEmbd,
      dropout: json.share('attention_dropout', 0),
      tieWordEmbeddings: json.oneOf('tie_word_embeddings', [false, true]),
      nInner: json.wholeNumber('intermediate_size'),
      ropeTheta: readTheta(json),
      rmsNormEpsilon,
      nKvHead,
      headSize,
    },
  };
}

/** transformers 5 keeps θ in "rope_parameters", transformers 4 in "rope_theta", beside "rope_scaling" for stretched contexts. */
function readTheta(json: ConfigReader): number {
  const parameters = json.get('rope_parameters');
  for (const [field, value] of [
    ['rope_parameters', parameters],
    ['rope_scaling', json.get('rope_scaling')],
  ] as const) {
    if (value === undefined) continue;
    const { rope_type: type = 'default', type: older = type } = Object(value) as Record<string, unknown>;
    if (typeof value !== 'object' || older !== 'default')
      json.fail(`"${field}" scales the rotary positions, which is not supported`);
  }
  const nested = (Object(parameters) as Record<string, unknown>)['rope_theta'];
  const theta = nested ?? json.get('rope_theta') ?? 10_000;
  if (fields.ropeTheta.value.is(theta)) return theta as number;
  return json.fail(`"rope_theta" is ${shownJson(theta)}; it must be ${fields.ropeTheta.value.expected}`);
}

/** What models of the family have unless told otherwise, but for their size. */
export const llamaDefaults = {
  tieWordEmbeddings: false,
  ropeTheta: fields.ropeTheta.default,
  rmsNormEpsilon: fields.rmsNormEpsilon.default,
} as const satisfies Partial<LlamaConfig>;

/** An architecture of the family. */
export function llamaLike(variant: Variant): Architecture<LlamaConfig> {
  const tiny: LlamaConfig = {
    ...llamaDefaults,
    arch: variant.name,
    vocabSize: 11,
    blockSize: 6,
    nLayer: 2,
    nHead: 2,
    nEmbd: 8,
    nInner: 10,
    dropout: 0.2,
  };
  return {
    name: variant.name,
    fields,
    tieWordEmbeddings: llamaDefaults.tieWordEmbeddings,
    complete,
    check,
    isUnboundedInLength: () => true,
    describe: (config) =>
      [
        'rotary positions',
        'RMSNorm',
        'SwiGLU',
        ...(variant.hasQkNorm ? ['QK-norm'] : []),
        ...(keyValueHeads(config) === config.nHead ? [] : [`${keyValueHeads(config)} key/value heads`]),
      ].join(', '),
    parameters: (config) => parametersOf(variant, config),
    forward: (t, config, p, inputs) => forward(variant, t, config, p, inputs),
    finalNorm,
    head,
    cache: (config) => ({ heads: keyValueHeads(config), headSize: headSizeOf(config) }),
    // As for GPT-2: 3 · 2 · 2·L·T·H·D, of which the causal mask leaves half. Shared keys and values save memory, no FLOPs.
    attentionFlopsPerToken: (config) =>
      6 * config.nLayer * config.blockSize * config.nHead * headSizeOf(config),
    huggingFace: {
      modelTypes: [variant.name],
      toConfigJson: (config) => toConfigJson(variant, config),
      toOwnFields: () => ({}),
      factFields: [
        'num_attention_heads',
        'num_key_value_heads',
        'head_dim',
        'hidden_act',
        'rms_norm_eps',
        'rope_theta',
      ],
      fromConfigJson: (json) => fromConfigJson(variant, json),
      toTensorName: (name) => (name === HEAD ? name : PREFIX + name),
      fromTensorName: (name) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name),
      isBuffer: (name) => name.endsWith('.rotary_emb.inv_freq'),
    },
    gradientExamples: [
      { name: `${variant.name} architecture`, config: tiny },
      {
        name: `${variant.name}, grouped queries, wide heads, tied head`,
        config: { ...tiny, nHead: 4, nKvHead: 2, headSize: 4, tieWordEmbeddings: true, dropout: 0 },
      },
    ],
  };
}

export const llama = llamaLike({
  name: 'llama',
  class: 'LlamaForCausalLM',
  hasQkNorm: false,
  configDefaults: {},
});
