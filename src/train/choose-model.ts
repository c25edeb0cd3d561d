/** Chooses a model and its recipe for a corpus and a compute budget. */
import { countParameters } from '../model/parameters.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { FINE_TUNING } from './options/learning-rate.ts';
import { modelConfig, resolveOptions, type TrainModelOptions } from './settings.ts';

/** Candidate sizes: layers, heads, channels. The blocks' parameters roughly double from one to the next. */
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
    'batchSize' | 'dropout' | 'learningRate' | 'beta2' | 'weightDecay' | 'schedule' | 'patience'
  >
>;

/** With fewer tokens per parameter than this, a smaller model learns more, because it sees more tokens in the same time. */
const TOKENS_PER_PARAMETER = 1.5;
/** With more parameters per token of text than this, a model memorizes the text. */
const PARAMETERS_PER_TOKEN = 4;
/** Tokens in a step, from a run of a minute to a long one. */
const [FEWEST_IN_STEP, MOST_IN_STEP] = [768, 16_384];

/**
 * Chooses a model and its recipe. Models and batches are small, and learning rates higher than a long run would tolerate: in
 * a run of minutes, the number of steps matters most. docs/recipe.md has the experiments.
 *
 * @param flops floating-point operations of the whole run
 * @param given options that are set. If they include a complete shape, only the recipe is chosen
 */
export function chooseModel(
  { trainTokens, vocabSize }: TextFacts,
  flops: number,
  given: TrainModelOptions = { corpus: [] },
): Shape & ChosenRecipe {
  const candidates = shapesFor(trainTokens, given).map((shape) => {
    const config = modelConfig(resolveOptions({ ...given, ...shape }), vocabSize);
    const parameters = countParameters(config);
    const flopsPerToken = 6 * parameters + architectureOf(config).attentionFlopsPerToken(config);
    return { shape, parameters, tokens: flops / flopsPerToken };
  });
  const { shape, tokens } =
    candidates.findLast(
      (each) =>
        each.tokens >= TOKENS_PER_PARAMETER * each.parameters &&
        each.parameters <= PARAMETERS_PER_TOKEN * trainTokens,
    ) ?? candidates[0];
  const inStep = clamp(FEWEST_IN_STEP * Math.sqrt(tokens / 2e6), FEWEST_IN_STEP, MOST_IN_STEP);
  const epochs = tokens / trainTokens;
  const learningRate = rounded(3e-3 * Math.sqrt(128 / shape.nEmbd));
  return {
    ...shape,
    batchSize: Math.max(1, Math.round(inStep / shape.blockSize)),
    dropout: epochs < 5 ? 0 : epochs < 20 ? 0.1 : 0.2,
    learningRate: given.initFrom === undefined ? learningRate : rounded(FINE_TUNING * learningRate),
    beta2: 0.99,
    weightDecay: 0.1,
    schedule: 'wsd',
    patience: 8,
  };
}

/** Candidate shapes, smallest first. A short text gets a shorter context. */
function shapesFor(trainTokens: number, given: TrainModelOptions): readonly Shape[] {
  if (isShape(given)) {
    const { nLayer, nHead, nEmbd, blockSize } = given;
    return [{ nLayer, nHead, nEmbd, blockSize }];
  }
  const blockSize = trainTokens >= 20_000 ? 128 : trainTokens >= 2000 ? 64 : clamp(trainTokens - 1, 1, 16);
  return sizes.map(([nLayer, nHead, nEmbd]) => ({ nLayer, nHead, nEmbd, blockSize }));
}

/** Makes the heads divide the channels where only one of the two was given. */
export function withHeads(chosen: TrainModelOptions, given: TrainModelOptions): TrainModelOptions {
  const { nHead, nEmbd } = chosen;
  if (nHead === undefined || nEmbd === undefined || nEmbd % nHead === 0) return chosen;
  if (given.nHead === undefined) {
    const heads = Array.from({ length: Math.ceil(nEmbd / 32) }, (_, i) => i + 1);
    return { ...chosen, nHead: heads.findLast((n) => nEmbd % n === 0) ?? 1 };
  }
  return given.nEmbd === undefined
    ? { ...chosen, nEmbd: nHead * Math.round(nEmbd / nHead) || nHead }
    : chosen;
}

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
/** To two significant digits. */
const rounded = (x: number): number => Number(x.toPrecision(2));
