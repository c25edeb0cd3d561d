/** The choice of a model and its recipe for a corpus and an amount of computation. docs/recipe.md has the experiments. */
import { countParameters, elements, parameterOf, parameterTable } from '../model/parameters.ts';
import { architectureFields, architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { updateFlops } from './muon.ts';
import type { OptimizerName } from './optimizer.ts';
import { FINE_TUNING, LION_DIVISOR } from './options/learning-rate.ts';
import { WEIGHT_DECAY } from './options/optimizer.ts';
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

type Shape = Required<Pick<TrainModelOptions, 'nLayer' | 'nHead' | 'nEmbd' | 'blockSize'>>;

const isShape = (options: TrainModelOptions): options is TrainModelOptions & Shape =>
  (['nLayer', 'nHead', 'nEmbd', 'blockSize'] as const).every((name) => options[name] !== undefined);

/** Facts about the corpus that the choice depends on. */
export interface TextFacts {
  readonly trainTokens: number;
  readonly vocabSize: number;
}

export type ChosenRecipe = Required<
  Pick<
    TrainModelOptions,
    'batchSize' | 'dropout' | 'learningRate' | 'beta2' | 'weightDecay' | 'schedule' | 'minLr' | 'patience'
  >
> &
  Required<Pick<TrainModelOptions, 'arch' | 'optimizer'>>;

/** With fewer tokens per parameter than this, a smaller model learns more, as it sees more tokens in the same time. */
const TOKENS_PER_PARAMETER = 3;
/** With more parameters per token of text than this, a model memorizes the text. */
const PARAMETERS_PER_TOKEN = 4;
/** Tokens in a step: of a run over four million tokens, and the limits. */
const [USUAL_IN_STEP, FEWEST_IN_STEP, MOST_IN_STEP] = [3072, 768, 16_384];
const USUAL_TOKENS = 4e6;

/**
 * Chooses a model and its recipe. Models and batches are small, and learning rates higher than a long run would bear: in
 * minutes, the number of steps is what counts.
 *
 * @param flops floating-point operations of the whole run
 * @param given options that are set. If they include a complete shape, only the recipe is chosen
 */
export function chooseModel(
  { trainTokens, vocabSize }: TextFacts,
  flops: number,
  given: TrainModelOptions = { corpus: [] },
): Shape & ChosenRecipe {
  const isNew = given.initFrom === undefined;
  const { arch = architectureFor(given), optimizer = isNew ? 'muon' : 'adamw' } = given;
  const candidates = shapesFor(trainTokens, given).map((shape) => {
    const config = modelConfig(resolveOptions({ ...given, arch, optimizer, ...shape }), vocabSize);
    return { shape, parameters: countParameters(config), ...lengthOf(config, optimizer, flops) };
  });
  const { shape, tokens, inStep } =
    candidates.findLast(
      (each) =>
        each.tokens >= TOKENS_PER_PARAMETER * each.parameters &&
        each.parameters <= PARAMETERS_PER_TOKEN * trainTokens,
    ) ?? candidates[0];
  const epochs = tokens / trainTokens;
  // Lion's rate is lower and its weight decay higher, so that their product is the same.
  const lion = optimizer === 'lion' ? LION_DIVISOR : 1;
  const usualRate = optimizer === 'muon' ? 2.6e-3 : 3e-3;
  const learningRate = rounded((usualRate * Math.sqrt(128 / shape.nEmbd)) / lion);
  return {
    arch,
    ...shape,
    optimizer,
    batchSize: Math.max(1, Math.round(inStep / shape.blockSize)),
    dropout: epochs < 10 ? 0 : epochs < 30 ? 0.1 : 0.2,
    learningRate: isNew ? learningRate : rounded(FINE_TUNING * learningRate),
    beta2: 0.99,
    weightDecay: lion * WEIGHT_DECAY,
    schedule: 'linear',
    minLr: 0,
    patience: 8,
  };
}

/** The preferred architecture among those that have all the given options. */
function architectureFor(given: TrainModelOptions): string {
  const values = given as unknown as Readonly<Record<string, unknown>>;
  const specific = Object.keys(architectureFields()).filter((name) => values[name] !== undefined);
  const hasAll = (arch: string): boolean =>
    specific.every((name) => Object.hasOwn(architectureOf({ arch }).fields, name));
  return preferred.find(hasAll) ?? preferred[0];
}

/** How many tokens `flops` floating-point operations train on, and how many of them are a step. */
function lengthOf(
  config: ModelConfig,
  optimizer: OptimizerName,
  flops: number,
): { readonly tokens: number; readonly inStep: number } {
  const lookedUp = config.tieWordEmbeddings ? 0 : elements(parameterOf(config, 'token embedding').shape);
  const multiplied = countParameters(config) - lookedUp;
  const ofToken = 6 * multiplied + architectureOf(config).attentionFlopsPerToken(config);
  const ofUpdate = optimizer === 'muon' ? updateFlops(parameterTable(config)) : 0;
  const atMost = flops / ofToken;
  const inStep = clamp(USUAL_IN_STEP * Math.sqrt(atMost / USUAL_TOKENS), FEWEST_IN_STEP, MOST_IN_STEP);
  return { tokens: flops / (ofToken + ofUpdate / inStep), inStep };
}

/** The shapes to choose from, smallest first. A short text gets a shorter context. */
function shapesFor(trainTokens: number, given: TrainModelOptions): readonly Shape[] {
  if (isShape(given)) {
    const { nLayer, nHead, nEmbd, blockSize } = given;
    return [{ nLayer, nHead, nEmbd, blockSize }];
  }
  const blockSize = trainTokens >= 20_000 ? 128 : trainTokens >= 2000 ? 64 : clamp(trainTokens - 1, 1, 16);
  return sizes.map(([nLayer, nHead, nEmbd]) => ({ nLayer, nHead, nEmbd, blockSize }));
}

/** Makes heads divide the channels, where one of the two was given and the other chosen: rotary positions pair channels. */
export function withHeads(chosen: TrainModelOptions, given: TrainModelOptions): TrainModelOptions {
  const { nHead, nEmbd } = chosen;
  if (nHead === undefined || nEmbd === undefined || nEmbd % (2 * nHead) === 0) return chosen;
  if (given.nHead === undefined) {
    const heads = Array.from({ length: Math.ceil(nEmbd / 32) }, (_, i) => i + 1);
    return { ...chosen, nHead: heads.findLast((n) => nEmbd % (2 * n) === 0) ?? 1 };
  }
  const pairs = 2 * nHead;
  return given.nEmbd === undefined
    ? { ...chosen, nEmbd: pairs * Math.round(nEmbd / pairs) || pairs }
    : chosen;
}

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
/** To two significant digits. */
const rounded = (x: number): number => Number(x.toPrecision(2));
