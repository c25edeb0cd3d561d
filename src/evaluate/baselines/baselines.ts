/** Baselines fitted on a model's training split: n-gram models and compressors. */
import { measure, type Measures, type TokenScores } from '../measures.ts';
import { sourceOf, textOf, type TokenizedText } from '../tokenized-text.ts';
import { compressors, trainCompressor, type Compression, type CompressorName } from './compressors.ts';
import { countNgrams, createNgramModel } from './kneser-ney.ts';

/** The same estimator at three orders, so unigrams and bigrams are smoothed as well as 5-grams. */
const ngramOrders = { unigram: 1, bigram: 2, kneser_ney_5gram: 5 } as const;

/** Baselines that predict tokens of the model's vocabulary. */
export type TokenBaseline = 'uniform' | keyof typeof ngramOrders;

export interface Baselines {
  readonly tokens: ReadonlyMap<TokenBaseline, Measures>;
  /** Undefined if the compressor is not installed. */
  readonly compressors: ReadonlyMap<CompressorName, Compression | undefined>;
}

/** Evaluates fitted baselines on a text of `characters` code points. */
export type TrainedBaselines = (text: TokenizedText, characters: number) => Baselines;

/** @param progress called with the share done, 0 … 1 */
export function trainBaselines(
  training: TokenizedText,
  progress: (done: number) => void = () => {},
): TrainedBaselines {
  const { vocabSize } = training.tokenizer;
  const names = Object.keys(ngramOrders) as (keyof typeof ngramOrders)[];
  const compressorNames = Object.keys(compressors) as CompressorName[];
  const parts = names.length + compressorNames.length;
  const models = names.map((name, i) => {
    const model = createNgramModel(countNgrams(sourceOf(training), vocabSize, ngramOrders[name]));
    progress((i + 1) / parts);
    return [name, model] as const;
  });
  const trainingBytes = Buffer.from(textOf(training));
  const compress = compressorNames.map((name, i) => {
    const compressor = trainCompressor(name, trainingBytes);
    progress((names.length + i + 1) / parts);
    return [name, compressor] as const;
  });
  return (text, characters) => {
    const bytes = Buffer.from(textOf(text));
    return {
      tokens: new Map<TokenBaseline, Measures>([
        ['uniform', measure(text, characters, uniformScores(text))],
        ...models.map(
          ([name, model]) => [name, measure(text, characters, model.scores(sourceOf(text)))] as const,
        ),
      ]),
      compressors: new Map(compress.map(([name, compressor]) => [name, compressor(bytes)])),
    };
  };
}

function* uniformScores({ ids, tokenizer }: TokenizedText): Generator<TokenScores> {
  yield {
    first: 1,
    nats: new Float64Array(ids.length - 1).fill(Math.log(tokenizer.vocabSize)),
  };
}
