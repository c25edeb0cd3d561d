/** The choice of a model and its recipe for a corpus and a compute budget. docs/recipe.md has the experiments. */
import { countTrained, elements, multipliedParameters, parameterTable } from '../model/parameters.ts';
import { architectureFields, architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig, ModelShape } from '../model/config.ts';
import type { ParameterRole } from '../model/parameter.ts';
import { UsageError } from '../errors.ts';
import { isLikelyMemorized } from './memorizing.ts';
import { updateFlops } from './muon.ts';
import type { OptimizerName } from './optimizer.ts';
import { adaptedPeak } from './options/learning-rate.ts';
import { modelConfig, resolveOptions, type TrainModelOptions } from './settings.ts';

/** Sizes to choose from: layers, heads, channels. */
const sizes = [
  [2, 2, 64],
  [3, 3, 96],
  [4, 4, 128],
  [4, 6, 192],
  [6, 6, 192],
  [6, 8, 256],
  [6, 6, 384],
  [8, 8, 512],
  [12, 12, 768],
] as const;

/** Architectures of new models, the best first. */
const preferred = ['qwen3', 'gpt2'] as const;

/** The compute budget of a run. */
export interface Compute {
  /** Floating-point operations in the time of the run. */
  readonly flops: number;
  /** Fixed cost of a step, whatever its number of tokens: kernel launches on a GPU, in equivalent floating-point operations. */
  readonly flopsPerStep: number;
}
/** The compute budget by model: a GPU runs wide models at a higher rate. */
export type ComputeFor = (config: ModelConfig, optimizer: OptimizerName) => Compute;

/** Widths of the models to choose from. */
export const widths: readonly number[] = [...new Set(sizes.map(([, , nEmbd]) => nEmbd))];

/** Facts about the corpus that the choice depends on. */
export interface TextFacts {
  readonly trainTokens: number;
  readonly vocabSize: number;
}

export type ChosenRecipe = Required<
  Pick<
    TrainModelOptions,
    'batchSize' | 'dropout' | 'learningRate' | 'schedule' | 'minLr' | 'patience' | 'emaDecay'
  >
> &
  Required<Pick<TrainModelOptions, 'arch' | 'optimizer' | 'tieWordEmbeddings'>>;

/**
 * Fewest tokens per parameter of the layers: with fewer, a smaller model learns more, as it sees more tokens in the same time.
 * The best runs have 5 to 7; 4 keeps 4 layers of 128 channels for three minutes on two threads.
 * Embedding and output head do not count: with tens of thousands of words they would leave only the smallest layers.
 */
const TOKENS_PER_PARAMETER = 4;
/** With more parameters of the layers per token of text than this, a model memorizes the text. */
const MAX_LAYER_PARAMETERS_PER_TOKEN = 4;
/** From this vocabulary size on, the output head is tied to the token embedding; docs/recipe-experiments.md#when-is-the-head-tied. */
const MIN_TIED_VOCABULARY = 2000;
/** After this many passes over a text, a model memorizes it, and its learning rate should have reached 0. */
export const MAX_EPOCHS = 80;
/** Decay of the average of the weights in a run that is expected to reach MAX_EPOCHS; docs/recipe-experiments.md#short-texts. */
const SHORT_TEXT_EMA_DECAY = 0.99;
/** Tokens per step: for a run of four million tokens, and the limits. */
const [USUAL_STEP, SMALLEST_STEP, LARGEST_STEP] = [1536, 128, 16_384];
const USUAL_TOKENS = 4e6;
/** With at least this many tokens, a run has time to learn from a context of twice the length. */
const LONG_RUN = 8e6;
/**
 * With rotary positions, so has a run whose layers and output head compute at least this many FLOPs, 6 per parameter and
 * token: about two minutes on two threads; docs/recipe-experiments.md#context-length.
 */
const LONG_CONTEXT_FLOPS = 1e13;
/** Unless the output head has more than this many times the parameters of the layers: it then takes most of the time. */
const MAX_HEAD_RATIO = 3;

/**
 * The number of steps after which a run with a time limit ends, even if there is time left.
 *
 * @param tokensPerStep of all micro-batches
 */
export const maxSteps = (trainTokens: number, tokensPerStep: number): number =>
  Math.ceil((MAX_EPOCHS * trainTokens) / tokensPerStep);

/**
 * Chooses a model and its recipe. Models and batches are small, and learning rates higher than a long run would
 * tolerate: in minutes, the number of steps is what counts.
 *
 * @param flops floating-point operations of the whole run, or its compute budget by model
 * @param given options that are set; what they leave open is chosen
 * @throws UsageError if they do not fit each other
 */
export function chooseModel(
  { trainTokens, vocabSize }: TextFacts,
  flops: number | ComputeFor,
  given: TrainModelOptions = { corpus: [] },
): ModelShape & ChosenRecipe {
  const isNew = given.initFrom === undefined;
  const hasAdapters = given.loraRank !== undefined;
  const { arch = architectureFor(given), optimizer = isNew ? 'muon' : 'adamw' } = given;
  const candidateFor = (shape: ModelShape) => {
    const tieWordEmbeddings =
      given.tieWordEmbeddings ??
      (architectureOf({ arch }).tieWordEmbeddings || hasTiedHead({ trainTokens, vocabSize }, shape));
    const options = { ...given, arch, optimizer, tieWordEmbeddings, ...shape };
    const config = modelConfig(resolveOptions(options), vocabSize);
    return {
      shape,
      config,
      tieWordEmbeddings,
      parameters: parametersOfLayers(config),
      trained: countTrained(config),
      ...lengthOf(config, optimizer, {
        ...(typeof flops === 'number' ? { flops, flopsPerStep: 0 } : flops(config, optimizer)),
        maxTokens: MAX_EPOCHS * trainTokens,
        tokensPerStep: givenTokensPerStep(config, given),
      }),
    };
  };
  const shapes = shapesFor(trainTokens, given);
  const candidates = shapes.flatMap((shape) => ifPossible(() => candidateFor(shape)) ?? []);
  const chosen =
    candidates.findLast(
      (each) =>
        each.tokens >= TOKENS_PER_PARAMETER * each.parameters &&
        each.parameters <= MAX_LAYER_PARAMETERS_PER_TOKEN * trainTokens,
    ) ??
    candidates[0] ??
    candidateFor(shapes[0]); // throws the error that says why
  const { shape, tieWordEmbeddings, trained, tokens, tokensPerStep } = hasLongContext(chosen, given)
    ? candidateFor({ ...chosen.shape, blockSize: 2 * chosen.shape.blockSize })
    : chosen;
  const epochs = tokens / trainTokens;
  const isTextExhausted = tokens >= MAX_EPOCHS * trainTokens;
  const mayMemorize = isNew && isLikelyMemorized(trained, trainTokens, epochs);
  return {
    arch,
    ...shape,
    tieWordEmbeddings,
    optimizer,
    batchSize: Math.max(1, Math.round(tokensPerStep / microBatchesOf(given) / shape.blockSize)),
    dropout: hasAdapters ? 0 : dropoutFor(epochs, mayMemorize),
    learningRate: rounded(peakFor(optimizer, shape, tokens, given)),
    schedule: 'linear',
    minLr: 0,
    patience: 8,
    emaDecay: isNew && isTextExhausted ? SHORT_TEXT_EMA_DECAY : 0,
  };
}

/** Tokens in a step, if a batch size is given. */
const givenTokensPerStep = ({ blockSize }: ModelConfig, given: TrainModelOptions): number | undefined =>
  given.batchSize === undefined ? undefined : given.batchSize * microBatchesOf(given) * blockSize;

const microBatchesOf = ({ gradientAccumulationSteps = 1 }: TrainModelOptions): number =>
  gradientAccumulationSteps;

/** Large vocabularies learn better with a tied head; an untied one with more parameters than the text has tokens memorizes it. */
const hasTiedHead = ({ trainTokens, vocabSize }: TextFacts, { nEmbd }: ModelShape): boolean =>
  vocabSize >= MIN_TIED_VOCABULARY || vocabSize * nEmbd > trainTokens;

/** True if a run has time to learn from a context of twice the length. A given batch size is one for the usual length. */
function hasLongContext(
  chosen: { readonly config: ModelConfig; readonly parameters: number } & Length,
  { blockSize, batchSize }: TrainModelOptions,
): boolean {
  const { config, parameters, tokens, matmulParameters } = chosen;
  if (blockSize !== undefined || batchSize !== undefined) return false;
  if (tokens >= LONG_RUN) return true;
  return (
    architectureOf(config).isUnboundedInLength(config) &&
    config.vocabSize * config.nEmbd <= MAX_HEAD_RATIO * parameters &&
    tokens >= TOKENS_PER_PARAMETER * parameters &&
    6 * matmulParameters * tokens >= LONG_CONTEXT_FLOPS
  );
}

/** The peak learning rate of a run over `tokens`. That of adapters does not depend on its length. */
function peakFor(
  optimizer: OptimizerName,
  { nEmbd }: ModelShape,
  tokens: number,
  { initFrom, loraRank }: TrainModelOptions,
): number {
  const ofNew = (optimizer === 'muon' ? 2.6e-3 : 3e-3) * Math.sqrt(128 / nEmbd);
  const forLength = loraRank === undefined ? Math.min(1, Math.sqrt(USUAL_TOKENS / tokens)) : 1;
  return forLength * adaptedPeak(ofNew, { initFrom, loraRank, optimizer, nEmbd });
}

/** The more often a text is repeated, the more dropout pays, and earlier with many parameters per token. */
const dropoutFor = (epochs: number, mayMemorize: boolean): number => {
  if (epochs >= 40) return 0.2;
  if (epochs >= 20 || mayMemorize) return 0.1;
  return epochs >= 8 ? 0.05 : 0;
};

/** Parameters without embeddings and output head: those that do not grow with the vocabulary or the context. */
const parametersOfLayers = (config: ModelConfig): number =>
  parameterTable(config).reduce(
    (sum, { shape, role }) => sum + (outsideLayers.has(role) ? 0 : elements(shape)),
    0,
  );

const outsideLayers: ReadonlySet<ParameterRole> = new Set([
  'token embedding',
  'position embedding',
  'output head',
]);

/** The preferred architecture among those that have all the given options. */
function architectureFor(given: TrainModelOptions): string {
  const values = given as unknown as Readonly<Record<string, unknown>>;
  const specific = Object.keys(architectureFields()).filter((name) => values[name] !== undefined);
  const hasAll = (arch: string): boolean =>
    specific.every((name) => Object.hasOwn(architectureOf({ arch }).fields, name));
  return preferred.find(hasAll) ?? preferred[0];
}

interface Length {
  readonly tokens: number;
  readonly tokensPerStep: number;
  /** Parameters that each token is multiplied by. */
  readonly matmulParameters: number;
}

/** The number of tokens that `flops` floating-point operations train on, at most `maxTokens`. */
function lengthOf(
  config: ModelConfig,
  optimizer: OptimizerName,
  {
    flops,
    flopsPerStep,
    maxTokens,
    tokensPerStep: given,
  }: Compute & { readonly maxTokens: number; readonly tokensPerStep: number | undefined },
): Length {
  const matmulParameters = multipliedParameters(config);
  const flopsPerToken = 6 * matmulParameters + architectureOf(config).attentionFlopsPerToken(config);
  const flopsPerUpdate = optimizer === 'muon' ? updateFlops(parameterTable(config)) : 0;
  const atMost = Math.min(flops / flopsPerToken, maxTokens);
  const tokensPerStep =
    given ?? clamp(USUAL_STEP * Math.sqrt(atMost / USUAL_TOKENS), SMALLEST_STEP, LARGEST_STEP);
  const tokens = Math.min(
    flops / (flopsPerToken + (flopsPerUpdate + flopsPerStep) / tokensPerStep),
    maxTokens,
  );
  return { tokens, tokensPerStep, matmulParameters };
}

/** Undefined where options that are given do not fit a shape. */
function ifPossible<T>(compute: () => T): T | undefined {
  try {
    return compute();
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** The shapes to choose from, smallest first, with the given options applied. A short text gets a shorter context. */
function shapesFor(trainTokens: number, given: TrainModelOptions): readonly ModelShape[] {
  const usual = trainTokens >= 20_000 ? 128 : trainTokens >= 2000 ? 64 : clamp(trainTokens - 1, 1, 16);
  return sizes.map(([layers, heads, channels]) => {
    const { nLayer = layers, blockSize = usual } = given;
    return { nLayer, blockSize, ...withHeads({ nHead: heads, nEmbd: channels }, given) };
  });
}

/**
 * Adjusts whichever of heads and channels was chosen, so that the heads divide the channels. Rotary positions need heads of an
 * even number of channels.
 */
function withHeads(
  chosen: Pick<ModelShape, 'nHead' | 'nEmbd'>,
  given: TrainModelOptions,
): Pick<ModelShape, 'nHead' | 'nEmbd'> {
  const { nHead = chosen.nHead, nEmbd = chosen.nEmbd } = given;
  if (nEmbd % (2 * nHead) === 0) return { nHead, nEmbd };
  if (given.nHead === undefined) {
    const heads = Array.from({ length: Math.ceil(nEmbd / 32) }, (_, i) => i + 1);
    const even = heads.findLast((n) => nEmbd % (2 * n) === 0);
    return { nHead: even ?? heads.findLast((n) => nEmbd % n === 0) ?? 1, nEmbd };
  }
  const pairs = 2 * nHead;
  return { nHead, nEmbd: given.nEmbd ?? (pairs * Math.round(nEmbd / pairs) || pairs) };
}

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
/** To two significant digits. */
const rounded = (x: number): number => Number(x.toPrecision(2));
