/**
 * Scaled rotary positions, by which a model reads contexts longer than those it was pre-trained on. Formulas, field names and
 * defaults are those of modeling_rope_utils.py in `transformers`.
 */
import { rotaryFrequencies, type Rotation } from '../../autodiff/ops/rotary.ts';
import { isJsonObject, shownJson } from '../../json.ts';
import { flag, type Rule } from '../../json-rules.ts';
import { number, type OptionType } from '../../values.ts';
import type { ConfigReader } from '../config-reader.ts';

/** Position interpolation (Chen et al. 2023): all frequencies are divided by `factor`. */
interface LinearScaling {
  readonly rope_type: 'linear';
  readonly factor: number;
}

/** Llama 3.1: low frequencies are divided by `factor`, high ones kept, with a transition between. */
interface Llama3Scaling {
  readonly rope_type: 'llama3';
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

/** YaRN (Peng et al. 2023): the same with another transition, and attention scores are scaled. */
interface YarnScaling {
  readonly rope_type: 'yarn';
  readonly factor: number;
  readonly original_max_position_embeddings: number;
  readonly attention_factor?: number;
  readonly beta_fast?: number;
  readonly beta_slow?: number;
  readonly mscale?: number;
  readonly mscale_all_dim?: number;
  readonly truncate?: boolean;
}

export type RopeScaling = LinearScaling | Llama3Scaling | YarnScaling;
type RopeType = RopeScaling['rope_type'];

const aboveZero = number({ above: 0 });

/** The fields of each type, besides `rope_type`. */
const required: { readonly [T in RopeType]: Readonly<Record<string, Rule>> } = {
  linear: { factor: aboveZero },
  llama3: {
    factor: aboveZero,
    low_freq_factor: aboveZero,
    high_freq_factor: aboveZero,
    original_max_position_embeddings: aboveZero,
  },
  yarn: { factor: aboveZero, original_max_position_embeddings: aboveZero },
};
const optional: { readonly [T in RopeType]: Readonly<Record<string, Rule>> } = {
  linear: {},
  llama3: {},
  yarn: {
    attention_factor: aboveZero,
    beta_fast: aboveZero,
    beta_slow: aboveZero,
    mscale: aboveZero,
    mscale_all_dim: aboveZero,
    truncate: flag,
  },
};
const ropeTypes = Object.keys(required) as RopeType[];

/** The config field. It has no flag: only imported models are scaled. */
export const ropeScalingValue: OptionType<RopeScaling> = {
  expected: `an object with the "rope_type" ${ropeTypes.join(', ')} and its fields`,
  is: (value) => isJsonObject(value) && whyInvalid(value) === undefined,
  read: () => undefined,
};

/** Why the fields of a scaling are invalid; undefined if they are valid. */
function whyInvalid(fields: Readonly<Record<string, unknown>>): string | undefined {
  const type = fields['rope_type'];
  if (!ropeTypes.includes(type as RopeType)) return `"rope_type" is ${shownJson(type)}`;
  const rules = {
    ...required[type as RopeType],
    ...Object.fromEntries(
      Object.entries(optional[type as RopeType]).filter(([name]) => fields[name] !== undefined),
    ),
  };
  for (const [name, { is, expected }] of Object.entries(rules))
    if (!is(fields[name])) return `"${name}" is ${shownJson(fields[name])}, not ${expected}`;
  const [low, high] = [fields['low_freq_factor'], fields['high_freq_factor']];
  if (type === 'llama3' && Number(low) >= Number(high))
    return `"low_freq_factor" is ${shownJson(low)}, not below "high_freq_factor", ${shownJson(high)}`;
  return undefined;
}

/**
 * θ and the scaling in a config.json. transformers 4 has them in "rope_theta" and "rope_scaling", transformers 5 both in
 * "rope_parameters"; it reads the older fields first, and so does this.
 */
export function readRope(
  json: ConfigReader,
  blockSize: number,
): { readonly theta: unknown; readonly scaling: RopeScaling | undefined } {
  const field = json.get('rope_scaling') === undefined ? 'rope_parameters' : 'rope_scaling';
  const fields = json.get(field) ?? {};
  if (!isJsonObject(fields)) return json.fail(`"${field}" is ${shownJson(fields)}, not an object`);
  const { rope_theta: inside, ...given } = fields;
  const theta = inside ?? json.get('rope_theta');
  const rotated = given['partial_rotary_factor'] ?? json.get('partial_rotary_factor') ?? 1;
  if (rotated !== 1)
    json.fail(`"partial_rotary_factor" is ${shownJson(rotated)}; all channels of a head must be rotated`);
  const type = given['rope_type'] ?? given['type'] ?? 'default';
  if (type === 'default') return { theta, scaling: undefined };
  if (!ropeTypes.includes(type as RopeType))
    json.fail(
      `"${field}" has the rope_type ${shownJson(type)}; supported: ${['default', ...ropeTypes].map(shownJson).join(', ')}`,
    );
  const scaling = completed(type as RopeType, given, blockSize, json.get('original_max_position_embeddings'));
  const problem = whyInvalid(scaling);
  if (problem !== undefined) json.fail(`in "${field}", ${problem}`);
  return { theta, scaling: scaling as unknown as RopeScaling };
}

/** The fields of a type, with the defaults that depend on the context length: a fine-tuned model may have another. */
function completed(
  type: RopeType,
  given: Readonly<Record<string, unknown>>,
  blockSize: number,
  outside: unknown,
): Record<string, unknown> {
  const names = [...Object.keys(required[type]), ...Object.keys(optional[type])];
  const fields: Record<string, unknown> = { rope_type: type };
  for (const name of names) if ((given[name] ?? undefined) !== undefined) fields[name] = given[name];
  if (type === 'linear') return fields;
  const original = outside ?? fields['original_max_position_embeddings'] ?? blockSize;
  fields['original_max_position_embeddings'] = original;
  if (type === 'yarn') fields['factor'] ??= blockSize / Number(original);
  return fields;
}

export function rotationOf(headSize: number, theta: number, scaling: RopeScaling | undefined): Rotation {
  const frequencies = rotaryFrequencies(headSize, theta);
  switch (scaling?.rope_type) {
    case undefined:
      return { frequencies, scale: 1 };
    case 'linear':
      return { frequencies: frequencies.map((f) => f / scaling.factor), scale: 1 };
    case 'llama3':
      return { frequencies: frequencies.map((f) => llama3Frequency(f, scaling)), scale: 1 };
    case 'yarn':
      return { frequencies: yarnFrequencies(frequencies, theta, scaling), scale: attentionFactor(scaling) };
    default:
      return scaling satisfies never;
  }
}

function llama3Frequency(frequency: number, scaling: Llama3Scaling): number {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  const periods = (scaling.original_max_position_embeddings * frequency) / (2 * Math.PI); // in the original context
  if (periods > high) return frequency;
  if (periods < low) return frequency / factor;
  const kept = (periods - low) / (high - low);
  return ((1 - kept) * frequency) / factor + kept * frequency;
}

/** Divided by `factor` up to `beta_slow` periods in the original context, kept from `beta_fast` on, linear in i between. */
function yarnFrequencies(frequencies: Float32Array, theta: number, scaling: YarnScaling): Float32Array {
  const { factor, original_max_position_embeddings: original, truncate = true } = scaling;
  const D = 2 * frequencies.length;
  /** Index of the pair, as a real number, that completes this number of rotations in the original context. */
  const pairOf = (periods: number): number =>
    (D * Math.log(original / (periods * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [pairOf(scaling.beta_fast ?? 32), pairOf(scaling.beta_slow ?? 1)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, D - 1);
  const width = low === high ? 0.001 : high - low;
  return frequencies.map((f, i) => {
    const divided = Math.min(Math.max((i - low) / width, 0), 1);
    return (f / factor) * divided + f * (1 - divided);
  });
}

export function attentionFactor({ factor, attention_factor, mscale, mscale_all_dim }: YarnScaling): number {
  const scaled = (by: number): number => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  if (attention_factor !== undefined) return attention_factor;
  if (mscale !== undefined && mscale_all_dim !== undefined) return scaled(mscale) / scaled(mscale_all_dim);
  return scaled(1);
}
