/** The contents of a run's model card. They depend only on text, options and progress, so repeated runs have the same bytes. */
import { basename, dirname, extname, resolve } from 'node:path';
import { code } from '../../card/markup.ts';
import { modelCard, type BaseModel, type ValidationFacts } from '../../card/model-card.ts';
import type { TokenSource } from '../../data/token-source.ts';
import { kebab } from '../../flag-name.ts';
import { formatNumber, formatPercent } from '../../format.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { examplePrompt } from '../example-prompt.ts';
import { optimizers } from '../optimizer.ts';
import type { Progress } from '../progress.ts';
import { tokensBefore } from '../sequences.ts';
import { hasDecayEnd } from '../schedule.ts';
import type { Settings } from '../settings.ts';
import { isRepeatable, trainCommand } from '../train-command.ts';
import type { TrainingData } from '../training-data.ts';

interface CardSource {
  readonly data: TrainingData;
  readonly config: ModelConfig;
  readonly settings: Settings;
  readonly progress: Progress;
  /** Of the best model on the whole validation split, in nats per token; undefined before the end. */
  readonly validationLoss: number | undefined;
}

export function cardOf({ data, config, settings, progress, validationLoss }: CardSource): string {
  const { corpus, tokenizer, train, validation } = data;
  const texts = corpus.paths.map((path) => (path === '-' ? 'stdin' : basename(resolve(path))));
  const [first] = texts;
  return modelCard({
    name: basename(first, extname(first)),
    config,
    tokenizer,
    training: {
      texts,
      files: corpus.files.length,
      bytes: corpus.bytes,
      trainTokens: train.length,
      base: baseOf(settings.initFrom),
      steps: progress.step,
      plannedSteps: settings.maxIters,
      tokensSeen: tokensBefore(progress.step, settings),
      recipe: recipeOf(settings),
      command: trainCommand(settings),
      isWholeStory: isRepeatable(settings),
      validation: validationOf(data, settings, progress, validationLoss),
      prompt: examplePrompt(validation.length > 0 ? validation : train, tokenizer),
    },
  });
}

/** The starting model. Where the Hub's client keeps it, its id is in the path: models--owner--name/snapshots/revision. */
export function baseOf(initFrom: string | undefined): BaseModel | undefined {
  if (initFrom === undefined) return undefined;
  const path = resolve(initFrom);
  const cached = /[\\/]models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$/.exec(path);
  const hubId = cached?.[1].replace('--', '/');
  const isCheckpoint = /^checkpoint-\d+$/.test(basename(path));
  return { name: hubId ?? basename(isCheckpoint ? dirname(path) : path), hubId };
}

function recipeOf(settings: Settings): [string, string][] {
  const { batchSize, gradientAccumulationSteps: microBatches, blockSize, optimizer, seed } = settings;
  const values = settings as unknown as Readonly<Record<string, unknown>>;
  const sequences = `${formatNumber(batchSize * microBatches)} sequences of ${formatNumber(blockSize)} tokens`;
  const others = optimizers[optimizer].options.filter((name) => name !== 'muonLearningRate');
  const named = [...others, 'dropout', 'labelSmoothing', 'emaDecay'].filter(
    (name) => others.includes(name as (typeof others)[number]) || values[name] !== 0,
  );
  return [
    ['batch', sequences],
    ['optimizer', optimizer],
    ['learning rate', learningRate(settings)],
    ...named.map((name): [string, string] => [kebab(name).replaceAll('-', ' '), String(values[name])]),
    ['seed', String(seed)],
  ];
}

function learningRate({
  optimizer,
  learningRate: peak,
  muonLearningRate,
  schedule,
  warmupIters,
  minLr,
}: Settings): string {
  const peaks = optimizer === 'muon' ? `${peak}, for matrices ${muonLearningRate}` : String(peak);
  const warmUp = warmupIters > 0 ? `, after ${formatNumber(warmupIters)} steps of warm-up` : '';
  return `${peaks}${warmUp}; ${schedule}${hasDecayEnd(schedule) ? `, down to ${minLr}` : ''}`;
}

function validationOf(
  { validation, valFraction, tokenizer }: TrainingData,
  { valFile }: Settings,
  { bestLoss, bestStep, step, isBestAverage }: Progress,
  wholeLoss: number | undefined,
): ValidationFacts | undefined {
  const loss = wholeLoss ?? (bestStep > 0 ? bestLoss : undefined);
  if (validation.length < 2 || loss === undefined) return undefined;
  return {
    loss,
    heldOut:
      valFile === undefined
        ? `the last ${formatPercent(valFraction)} of the text`
        : code(basename(resolve(valFile))),
    ...countedSize(validation, tokenizer),
    isEstimate: wholeLoss === undefined,
    step: bestStep > 0 ? bestStep : step,
    isAverage: isBestAverage,
  };
}

const CHUNK = 65_536;

/**
 * The number of counted targets, and their bytes: undefined if some are unknown, since their text is lost. Special tokens of
 * conversations stand for no text.
 */
function countedSize(
  source: TokenSource,
  tokenizer: Tokenizer,
): { readonly tokens: number; readonly bytes: number | undefined } {
  const lengths = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.byteLength(id));
  if (source.counted !== undefined)
    for (const token of tokenizer.specialTexts) lengths[tokenizer.vocabulary.lastIndexOf(token)] = 0;
  let [tokens, bytes, unknown] = [0, 0, 0];
  for (let start = 1; start < source.length; start += CHUNK) {
    const end = Math.min(start + CHUNK, source.length);
    const ids = source.slice(start, end);
    const counted = source.counted?.(start, end);
    for (let i = 0; i < ids.length; i++) {
      if (counted?.[i] === 0) continue;
      tokens++;
      bytes += lengths[ids[i]];
      if (ids[i] === tokenizer.unkId) unknown++;
    }
  }
  return { tokens, bytes: unknown > 0 ? undefined : bytes };
}
