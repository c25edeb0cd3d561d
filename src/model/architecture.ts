/** The interface of an architecture, implemented by each file in architectures/. */
import type { Value } from '../autodiff/graph.ts';
import type { AttentionOperands, LayerCache } from '../autodiff/ops/attention.ts';
import type { Tape } from '../autodiff/tape.ts';
import type { ConfigReader } from './config-reader.ts';
import type { ModelConfig } from './config.ts';
import type { OptionType } from '../values.ts';
import type { Initialization, Parameter } from './parameter.ts';

/** Looks up a parameter by its name in the parameter table. */
export type ParameterLookup = (name: string) => Value;

/** Inputs of a forward pass besides the parameters. */
export interface ForwardInputs {
  /** Token ids, int32 [B,T]. */
  readonly ids: Value;
  /** Positions in the context, int32 [B,T]. */
  readonly positions: Value;
  /** Start of each position's document in its row, int32 [B,T]; see `AttentionOperands`. Without it, a row is one document. */
  readonly starts?: Value | undefined;
  /** State of the random generator, int32 [4], and the dropout probability, 0 outside training. */
  readonly rng: Value;
  readonly dropout: number;
  /** Parameters of the role `linear weight` are stored as [out,in], see transposition.ts. */
  readonly transposed?: boolean;
  /** One KV cache per layer, for decoding. Without caches, every position attends within [B,T]. */
  readonly caches?: readonly LayerCache[];
}

/** Values of a recorded forward pass that callers may read. */
export interface ForwardPass {
  /** The last hidden state [B,T,C], input of the output head. */
  readonly hidden: Value;
  /** The residual stream [B,T,C] after the embedding and after each block: L + 1 values. */
  readonly residuals: readonly Value[];
  /** Queries, keys and values of each block, as attention reads them. */
  readonly attention: readonly AttentionOperands[];
}

/** A config field specific to some architectures. */
export interface ConfigField {
  readonly value: OptionType<unknown>;
  /** undefined if the field is optional. */
  readonly default: unknown;
  /** One line of `gpt train --help`, and the placeholder of the flag's value. */
  readonly help: string;
  readonly placeholder: string;
  readonly hasFlag?: false;
  /** Describes a default that depends on other options. */
  readonly defaultHelp?: string;
}

/** How models of an architecture are stored as Hugging Face folders. */
export interface HuggingFaceFormat<Config extends ModelConfig> {
  /** Values of "model_type" in config.json. */
  readonly modelTypes: readonly string[];
  /** The fields of config.json that `transformers` reads, in its order, without token ids and dtype. */
  toConfigJson(config: Config): Record<string, unknown>;
  /** Additional fields for this program. */
  toOwnFields(config: Config): Record<string, unknown>;
  /** Fields of config.json that tensor shapes do not determine. They are repeated in the metadata of the weights. */
  readonly factFields: readonly string[];
  /** The names in config.json of the fields that errors of `check` are about. */
  readonly configNames: { readonly [Field in keyof Config]?: string };
  /** Reads single fields; `checkConfig` then checks the config. @throws UserError naming the field */
  fromConfigJson(json: ConfigReader): DescribedModel<Config>;
  /** Maps a parameter's name to its tensor name in the class with a language-model head, and back. */
  readonly toTensorName: (parameter: string) => string;
  readonly fromTensorName: (tensor: string) => string;
  /** Name of the output head among the parameters. A file may contain a copy of it even if the head is tied. */
  readonly head: string;
  /** Tensors without parameters, such as a causal mask saved as a buffer. */
  readonly isBuffer: (tensor: string) => boolean;
}

/** How models of an architecture are stored in GGUF files, for llama.cpp. */
export interface GgufFormat<Config extends ModelConfig> {
  /** "general.architecture", and the prefix of the other keys. */
  readonly architecture: string;
  /** @throws UserError naming the field whose value llama.cpp does not implement: it would compute something else */
  check(config: Config): void;
  /** Metadata of type uint32, by key without the prefix. */
  integers(config: Config): Readonly<Record<string, number>>;
  /** Metadata of type float32. */
  floats(config: Config): Readonly<Record<string, number>>;
  /** Metadata of type string. */
  strings?(config: Config): Readonly<Record<string, string>>;
  /** Vectors that llama.cpp reads from the file, but that follow from the config, by tensor name. */
  vectors?(config: Config): Readonly<Record<string, Float32Array>>;
  /** A parameter's tensor name. Weights of the role `linear weight` are transposed, so that all are [out,in]. */
  tensorName(parameter: Parameter): string;
  /** The order of rows that llama.cpp expects, if it differs: row i of the tensor is row `order[i]` of the parameter. */
  rowOrder?(config: Config, parameter: Parameter): Uint32Array | undefined;
}

/** A model as described by its config.json. */
export interface DescribedModel<Config extends ModelConfig = ModelConfig> {
  readonly config: Config;
  /** How a parameter read from a file is converted, in place, to the conventions of this program; undefined if not at all. */
  readonly conversionOf?: (parameter: Parameter) => ((data: Float32Array) => void) | undefined;
}

export interface Architecture<Config extends ModelConfig = ModelConfig> {
  /** Value of `ModelConfig.arch`. */
  readonly name: string;
  /** Config fields beyond those of ModelConfig. */
  readonly fields: Readonly<Record<string, ConfigField>>;
  /** Default of `ModelConfig.tieWordEmbeddings`. */
  readonly tieWordEmbeddings: boolean;
  /** Initial weights of a new model that is trained with Muon; `gpt2` with other optimizers. */
  readonly initializationForMuon: Initialization;
  /** Fills in the fields that follow from others, unless they are given. */
  complete(config: Config): Config;
  /** Checks the fields against each other; each is already valid by itself. @throws UsageError naming field, value and a remedy */
  check(config: Config): void;
  /** The model works beyond the context length it was trained with. */
  isUnboundedInLength(config: Config): boolean;
  /** The choices that distinguish a config within its architecture, in a few words. */
  describe(config: Config): string;

  /** All parameters, in checkpoint order. */
  parameters(config: Config): Parameter[];
  /** Records the forward pass from token ids to the last hidden state. */
  forward(t: Tape, config: Config, p: ParameterLookup, inputs: ForwardInputs): ForwardPass;
  /** Records the final norm between the last block and the output head, if the config has one. [...,C] → [...,C]. */
  finalNorm(t: Tape, config: Config, p: ParameterLookup, x: Value): Value;
  /** Records the output head. [...,C] → logits [...,V]. */
  head(t: Tape, config: Config, p: ParameterLookup, hidden: Value): Value;
  /** Heads and channels per head of each layer's KV cache. */
  cache(config: Config): { readonly heads: number; readonly headSize: number };

  /** Training FLOPs per token that the number of parameters does not account for: attention scores and weighted sums. */
  attentionFlopsPerToken(config: Config): number;
  readonly huggingFace: HuggingFaceFormat<Config>;
  /** Undefined if llama.cpp does not know the architecture. */
  readonly gguf?: GgufFormat<Config>;
  /** Small models for the gradient checks. */
  readonly gradientExamples: readonly { readonly name: string; readonly config: Config }[];
}
