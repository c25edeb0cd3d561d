/** What a kind of model consists of: the interface that every file in architectures/ implements. */
import type { Value } from '../autodiff/graph.ts';
import type { LayerCache } from '../autodiff/ops/attention.ts';
import type { Tape } from '../autodiff/tape.ts';
import type { ConfigReader } from './config-reader.ts';
import type { ModelConfig } from './config.ts';
import type { Value as OptionValue } from '../values.ts';
import type { Parameter } from './parameter.ts';

/** Looks a parameter up by its name in the parameter table. */
export type ParameterLookup = (name: string) => Value;

/** What a forward pass reads, besides the parameters. */
export interface ForwardInputs {
  /** Token ids, int32 [B,T]. */
  readonly ids: Value;
  /** Each token's position in its context, int32 [B,T]. */
  readonly positions: Value;
  /** The state of the random numbers, int32 [4], and the dropout probability: 0 everywhere but in training. */
  readonly rng: Value;
  readonly dropout: number;
  /** Whether the weights of linear layers are stored as [out,in], see `transposeWeights`. */
  readonly transposed?: boolean;
  /** Decoding: one KV cache per layer. Without it every position attends within [B,T]. */
  readonly caches?: readonly LayerCache[];
}

/** Handles on the values of a recorded forward pass. */
export interface ForwardPass {
  /** The last hidden state [B,T,C], which the output head reads. */
  readonly hidden: Value;
  /** The residual stream [B,T,C] after the embedding and after each block: L + 1 values. */
  readonly residuals: readonly Value[];
  /** Queries, keys and values of each block side by side, [B,T,3C]. */
  readonly qkv: readonly Value[];
}

/** A field of the config that not every architecture has. */
export interface ConfigField {
  readonly value: OptionValue<unknown>;
  /** undefined: the field may be absent. */
  readonly default: unknown;
  /** One line of `gpt train --help`, and what the flag's value is called there. */
  readonly help: string;
  readonly placeholder: string;
  readonly hasFlag?: false;
  /** How the default is chosen, where it is not one value. */
  readonly defaultHelp?: string;
}

/** How models of this architecture look as Hugging Face folders. */
export interface HuggingFaceFormat<Config extends ModelConfig> {
  /** Values of "model_type" in config.json that mean this architecture. */
  readonly modelTypes: readonly string[];
  /** The fields of config.json that `transformers` reads, in its order, but for token ids and dtype. */
  toConfigJson(config: Config): Record<string, unknown>;
  /** The fields that only this program reads. */
  toOwnFields(config: Config): Record<string, unknown>;
  /** Fields of config.json that shapes of tensors do not show. They are repeated in the metadata of the weights. */
  readonly factFields: readonly string[];
  /** @throws UserError naming the field, if it describes a model that cannot be computed here */
  fromConfigJson(json: ConfigReader): DescribedModel<Config>;
  /** The name of a parameter's tensor under the class with a language-model head, and the parameter's name of a tensor. */
  readonly toTensorName: (parameter: string) => string;
  readonly fromTensorName: (tensor: string) => string;
  /** Whether a tensor holds no parameters, such as a causal mask that was saved as a buffer. */
  readonly isBuffer: (tensor: string) => boolean;
}

/** A model as its config.json describes it. */
export interface DescribedModel<Config extends ModelConfig = ModelConfig> {
  readonly config: Config;
  /** Changes a parameter's numbers, as they are in the file, so that they compute the same under our conventions. */
  readonly convert?: (parameter: Parameter, data: Float32Array) => void;
}

export interface Architecture<Config extends ModelConfig = ModelConfig> {
  /** The value of `ModelConfig.arch`. */
  readonly name: string;
  /** The fields of its config beyond those of ModelConfig. */
  readonly fields: Readonly<Record<string, ConfigField>>;
  /** Whether its models tie the output head to the token embedding unless told otherwise. */
  readonly tieWordEmbeddings: boolean;
  /** @throws UsageError naming the field, its value and the way out */
  check(config: Config): void;
  /** Whether a model works beyond the context length that it was trained with. */
  isUnboundedInLength(config: Config): boolean;
  /** What distinguishes it from others of its architecture, in a few words. */
  describe(config: Config): string;

  /** Every parameter, in the order of the checkpoint. */
  parameters(config: Config): Parameter[];
  /** Records the forward pass from token ids to the last hidden state. */
  forward(t: Tape, config: Config, p: ParameterLookup, inputs: ForwardInputs): ForwardPass;
  /** Records what is between the last block and the output head: the final norm, if there is one. [...,C] → [...,C]. */
  finalNorm(t: Tape, config: Config, p: ParameterLookup, x: Value): Value;
  /** Records the output head. [...,C] → logits [...,V]. */
  head(t: Tape, config: Config, p: ParameterLookup, hidden: Value): Value;
  /** Heads and channels per head of each layer's KV cache. */
  cache(config: Config): { readonly heads: number; readonly headSize: number };

  /** FLOPs per token of training that do not follow from the number of parameters: attention scores and weighted sums. */
  attentionFlopsPerToken(config: Config): number;
  readonly huggingFace: HuggingFaceFormat<Config>;
  /** Small models that the gradient checks differentiate as a whole. */
  readonly gradientExamples: readonly { readonly name: string; readonly config: Config }[];
}
