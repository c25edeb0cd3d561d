/** Baselines of `gpt eval --baselines`: fitted once per training text and tokenizer, then evaluated on each text. */
import { createHash } from 'node:crypto';
import { trainBaselines, type Baselines, type TrainedBaselines } from '../evaluate/baselines/baselines.ts';
import type { TokenizedText } from '../evaluate/tokenized-text.ts';
import { readTrainingText, type OtherText } from '../evaluate/training-text.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { whileReporting } from './activity.ts';
import { startPercentage } from './progress-bar.ts';

/** Baselines on one text. */
export interface BaselineEvaluation extends Baselines {
  /** Description of the text they were fitted on. */
  readonly trainingText: string;
  /** Equal for models with the same baselines. */
  readonly key: string;
}

/** Fits the baselines for a model. */
export type BaselineReader = (
  model: string,
  tokenizer: Tokenizer,
) => (file: string, text: TokenizedText, characters: number) => BaselineEvaluation;

/** @param instead replacement for the recorded training text, see readTrainingText */
export function baselineReader(instead: OtherText | undefined): BaselineReader {
  const trained = new Map<string, TrainedBaselines>();
  const measured = new Map<string, Baselines>();
  return (model, tokenizer) => {
    const { name, train, key } = whileReporting((report) =>
      readTrainingText(model, tokenizer, instead, report),
    );
    const vocabulary = createHash('sha256').update(JSON.stringify(tokenizer.toJSON())).digest('hex');
    const whole = `${key} ${vocabulary}`;
    let baselines = trained.get(whole);
    if (baselines === undefined) {
      const share = startPercentage('baselines fitted');
      baselines = trainBaselines(train, share.update);
      share.stop();
      trained.set(whole, baselines);
    }
    const measure = baselines;
    return (file, text, characters) => {
      const known = measured.get(`${whole} ${file}`) ?? measure(text, characters);
      measured.set(`${whole} ${file}`, known);
      return { ...known, trainingText: name, key: whole };
    };
  };
}
