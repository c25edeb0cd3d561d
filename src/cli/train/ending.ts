/** Messages after the last step. */
import { CHAT } from '../../data/documents/format.ts';
import type { DeviceChoice } from '../../engine/device-choice.ts';
import type { RunEnd, TrainEvent } from '../../train/events.ts';
import type { RunDescription } from '../../train/train-handlers.ts';
import type { TrainResult } from '../../train/train-model.ts';
import { formatCountOf, formatDuration, formatNumber } from '../../format.ts';
import { shellQuoted } from '../../shell-quote.ts';
import { factTable } from '../fact-table.ts';
import { commandName } from '../command-name.ts';
import { baselineAhead, type SimpleBaseline } from '../../evaluate/baselines/simplest.ts';
import { bitsPerByte } from '../../evaluate/bits-per-byte.ts';
import { gainsOverChar } from '../../forecast/tokenizer-sweep.ts';
import { notice, printable, stderrColors } from '../terminal.ts';
import { rangeOf, surestGain } from '../tokenizer-gains.ts';
import { shown } from './run-table.ts';
import { againstCounting } from './remedies.ts';
import { WORSE_BY } from './warnings.ts';

export interface Ending {
  /** Since the command was started. */
  readonly seconds: number;
  /** The `--device` that commands after a run on a GPU need; undefined if an environment variable sets it. */
  readonly device?: DeviceChoice | undefined;
  readonly run: RunDescription;
  readonly lastEvaluation: (TrainEvent & { type: 'evaluation' }) | undefined;
  readonly comparison: Comparison;
}

/** What the loss of the best model means. */
export interface Comparison {
  /** Undefined if the split has an unknown token, or there is no loss of the whole split. */
  readonly bitsPerByte?: number | undefined;
  /** The simplest baseline that the model does not beat. */
  readonly ahead?: SimpleBaseline | undefined;
}

/** Must be called before the run closes its text. @param withBaselines takes up to half a second */
export function compareEnd(
  { reason, validationLoss }: RunEnd,
  { split, documentEnd, tokenizer, config }: RunDescription,
  withBaselines: boolean,
): Comparison {
  if (reason === 'interrupted' || validationLoss === undefined) return {};
  return {
    bitsPerByte: bitsPerByte(validationLoss, split.validation, tokenizer, documentEnd),
    ...(withBaselines && { ahead: baselineAhead(validationLoss, split, config.vocabSize) }),
  };
}

/** Prints the result, where the model is, and what to do with it. */
export function printEnd(result: TrainResult, ending: Ending): void {
  const { folder, reason, progress } = result;
  const where = stderrColors.bold(`${printable(shown(folder))}/`);
  const steps = formatCountOf(progress.step, 'step');
  if (reason === 'interrupted') {
    notice(`Interrupted after ${steps}; the model so far is in ${where}`);
    notice();
  } else {
    const early = reason === 'stopped early' ? ' (early stopping: no improvement)' : '';
    notice(`\nDone after ${steps} in ${formatDuration(Math.round(ending.seconds))}${early}.`);
    notice(lossLine(result, ending));
    for (const line of [baselineLine(result, ending), tokenizerLine(ending)])
      if (line !== undefined) notice(line);
    notice(`The best model, ${describeBest(progress)}is in ${where}`);
    const last = lastWeightsLine(result, ending);
    if (last !== undefined) notice(last);
    notice();
  }
  const lines = adviceAfter(result, ending);
  const rows = lines.map(([what, line]) => [what, stderrColors.cyan(line)] as const);
  notice(factTable(rows, {})); // commands are copied, so they stay whole
}

function describeBest({ bestStep, isBestAverage }: TrainResult['progress']): string {
  if (bestStep === 0) return '';
  return `${isBestAverage ? 'the average of the weights at' : 'of'} step ${formatNumber(bestStep)}, `;
}

function lossLine({ validationLoss }: TrainResult, { run, comparison }: Ending): string {
  if (validationLoss === undefined)
    return 'Without a validation split, there is no measure of how well the model predicts unseen text.';
  const perByte =
    comparison.bitsPerByte === undefined ? '' : ` (${comparison.bitsPerByte.toFixed(3)} bits per byte)`;
  return `Validation loss ${validationLoss.toFixed(4)} nats per token${perByte}, on the whole validation split; guessing costs ${run.uniformLoss.toFixed(4)}.`;
}

/** A note if an n-gram baseline does as well as the model, which is common for short texts and short runs. */
function baselineLine(
  { progress }: TrainResult,
  { run, lastEvaluation, comparison: { ahead } }: Ending,
): string | undefined {
  if (ahead === undefined) return undefined;
  const counted = { unigram: 'counts tokens', bigram: 'counts pairs of tokens' }[ahead.name];
  const remedy = againstCounting(run, isOverfitted(progress, lastEvaluation));
  return `The ${ahead.name} baseline, which only ${counted}, is at least as good: ${ahead.loss.toFixed(4)} on the same split. ${remedy}`;
}

/** A note for a run by characters, the default, on a text that another tokenizer would probably learn better. */
function tokenizerLine({ run }: Ending): string | undefined {
  const { isModelChosen, settings, corpus, tokenizer } = run;
  const isOpen = isModelChosen && settings.initFrom === undefined;
  if (!isOpen || tokenizer.kind !== 'char' || corpus.documents !== 'whole') return undefined;
  const gain = surestGain(gainsOverChar(corpus.bytes));
  if (gain === undefined) return undefined;
  return `With --tokenizer ${gain.kind}, texts of this size took ${rangeOf(gain)} bits per byte.`;
}

/** A model that has memorized a short text is not the best by validation loss, but may be the one the user wants. */
function lastWeightsLine({ folder, progress }: TrainResult, { lastEvaluation }: Ending): string | undefined {
  const { step, bestStep, isBestAverage } = progress;
  const isLast = bestStep === step && !isBestAverage;
  if (bestStep === 0 || isLast || lastEvaluation === undefined) return undefined;
  const { trainLoss, averaging } = lastEvaluation;
  const validationLoss = averaging?.weightsLoss ?? lastEvaluation.validationLoss;
  return `The model of the last step is in ${printable(shown(folder))}/checkpoint-${step}/: training loss about ${trainLoss.toFixed(4)}, validation loss about ${validationLoss.toFixed(4)}.`;
}

/** Commands to paste, each with its purpose. */
function adviceAfter(
  { folder, reason, examplePrompt, progress }: TrainResult,
  { seconds, run, lastEvaluation, device }: Ending,
): (readonly [what: string, line: string])[] {
  const gpt = commandName();
  const model = shellQuoted(shown(folder));
  const prompt = examplePrompt === undefined ? '' : ` --prompt ${shellQuoted(examplePrompt)}`;
  // A resumed run keeps its device; other commands need a flag to use the GPU.
  const onDevice = device !== undefined && run.backend.startsWith('webgpu') ? ` --device ${device}` : '';
  const isChat = run.settings.documents === CHAT;
  const sample = [
    'try it',
    isChat ? `${gpt} chat ${model}${onDevice}` : `${gpt} sample -m ${model}${prompt}${onDevice}`,
  ] as const;
  // A pipe cannot be read again, neither to evaluate its validation split nor to resume.
  const isPipe = run.corpus.files.includes('-') || run.settings.valFile === '-';
  if (isPipe) return [sample];
  if (reason === 'interrupted') return [['resume', `${gpt} train --resume ${model}`], sample];
  return [
    sample,
    ...(run.tokens.validation > 0
      ? ([['measure it', `${gpt} eval --split val -m ${model}${onDevice}`]] as const)
      : []),
    ...(reason === 'finished' && !isOverfitted(progress, lastEvaluation)
      ? ([['train more', `${gpt} train --resume ${model} --minutes ${minutesToTrainOn(seconds)}`]] as const)
      : []),
  ];
}

/** Whether the last model is clearly worse than the best one, which more training would not change. */
const isOverfitted = (
  { bestLoss }: TrainResult['progress'],
  lastEvaluation: Ending['lastEvaluation'],
): boolean => lastEvaluation !== undefined && lastEvaluation.validationLoss > bestLoss * (1 + WORSE_BY);

/** Twice the time of the run, in whole minutes, which is long enough to make a difference. */
const minutesToTrainOn = (seconds: number): number => Math.max(1, Math.round((2 * seconds) / 60));
