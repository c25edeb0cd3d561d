/**
 * The library: training, sampling and evaluation without a terminal. Nothing here prints, exits or reads the environment.
 *
 *     import { train, load, sample } from 'gpt-trainer';
 *
 *     const { folder } = await train({ corpus: ['book.txt'], maxIters: 500 });
 *     const model = await load(folder);
 *     for await (const text of sample(model, 'Call me')) process.stdout.write(text);
 *     await model.close();
 */
export { UsageError, UserError, type ErrorCode } from './errors.ts';
export type { EvaluationOptions, TextEvaluation } from './evaluate/evaluate-text.ts';
export { evaluate } from './library/evaluate.ts';
export { load, type LoadOptions, type Model } from './library/model.ts';
export { sample, type SampleOptions } from './library/sample.ts';
export { presets, type ModelConfig, type PresetName } from './model/config.ts';
export { encode, type Tokenizer } from './tokenizer/tokenizer.ts';
export type { TrainEvent } from './train/events.ts';
export type { TrainModelOptions as TrainOptions } from './train/settings.ts';
export { trainModel as train, type TrainResult } from './train/train-model.ts';
export type { TrainHandlers, RunDescription } from './train/train-handlers.ts';
