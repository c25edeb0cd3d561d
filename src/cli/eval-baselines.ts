/** The baselines of `gpt eval --baselines`: trained once for each training text and tokenizer, then asked about each text. */
import { createHash } from 'node:crypto';
import { trainBaselines, type Baselines, type TrainedBaselines } from '../evaluate/baselines/baselines.ts';
import type { TokenizedText } from '../evaluate/tokenized-text.ts';
import { readTrainingText, type OtherText } from '../evaluate/training-text.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { whileReporting } from './activity.ts';
import { startShare } from './progress-bar.ts';

/** Baselines on one text. */
export interface BaselineEvaluation extends Baselines {
  /** What they have read. */
  readonly trainingText: string;
  /** The same for two models whose baselines are the same. */
  readonly key: string;
}

/** Gets baselines ready for a model, which then measure texts. */
export type BaselineReader = (
  model: string,
  tokenizer: Tokenizer,
) => (file: string, text: TokenizedText, characters: number) => BaselineEvaluation;

/** @param instead the training text to use, see readTrainingText */
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
      const share = startShare('baselines fitted');
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
