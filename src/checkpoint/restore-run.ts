/**
 * Restores a run's own files, the best model and the description, to their state at a checkpoint. Each is verified, and
 * replaced by one of its copies in the run if it is missing or damaged.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { attempt, holds, UserError } from '../errors.ts';
import { trainCall } from '../messages.ts';
import { parameterTable } from '../model/parameters.ts';
import { hostTensor } from '../model/tensor.ts';
import { readTextFile, readWholeFile } from '../read-file.ts';
import { linkAtomic, writeFileAtomic } from '../write-file.ts';
import { ADAPTER_CONFIG, readAdapterConfig } from './adapter-config.ts';
import { openCheckpoint, type Checkpoint } from './checkpoint.ts';
import { AVERAGE, BEST, checkpointsOf } from './checkpoint-folders.ts';
import { checkGenerationConfig } from './generation-config.ts';
import { fromConfigJson } from './huggingface.ts';
import {
  ESTIMATED_LOSS,
  IS_AVERAGE,
  modelFacts,
  savedTensors,
  weightsFile,
  weightsPieces,
  type ModelFolder,
} from './model-folder.ts';
import { openModelFolder } from './open-model.ts';
import { checksumOf, openSafetensors } from './safetensors.ts';
import { readTokenizerSettings } from './tokenizer-config.ts';
import { readTokenizer } from './tokenizer-files.ts';
import type { TrainerState } from './trainer-state.ts';

/** The changes to a run's folder before it continues. */
export interface Restoration {
  /** Messages: what was missing or damaged, and the source of the replacement. */
  readonly repairs: readonly string[];
  /** Writes the files. */
  apply(): void;
}

/**
 * Verifies a run's own files against a checkpoint without writing anything.
 *
 * @throws UserError if the best model is lost
 */
export function planRestoration(run: string, checkpoint: Checkpoint): Restoration {
  const steps = [...restoreDescription(run, checkpoint), ...restoreBest(run, checkpoint)];
  return {
    repairs: steps.flatMap(({ repair }) => repair ?? []),
    apply: () => {
      for (const { apply } of steps) apply();
    },
  };
}

interface RestoreStep {
  readonly repair?: string;
  readonly apply: () => void;
}

/** In bytes. */
const LARGEST = 256e6;

/** Restores config.json and its siblings from the checkpoint, unless they describe the same model. */
function restoreDescription(run: string, { folder, model }: Checkpoint): RestoreStep[] {
  const isGood: Readonly<Record<string, (path: string) => boolean>> = {
    ...(model.config.lora === undefined
      ? {
          'config.json': (path) =>
            isDeepStrictEqual(fromConfigJson(readTextFile(path, LARGEST), path).config, model.config),
        }
      : {
          [ADAPTER_CONFIG]: (path) =>
            isDeepStrictEqual(readAdapterConfig(path), readAdapterConfig(join(folder, ADAPTER_CONFIG))),
        }),
    'tokenizer.json': () => isDeepStrictEqual(tokenizerOf(run), tokenizerOf(folder)),
    'tokenizer_config.json': (path) =>
      succeeds(path, () => readTokenizerSettings(run, model.config.vocabSize)),
    'generation_config.json': (path) => succeeds(path, checkGenerationConfig),
  };
  return Object.entries(isGood).flatMap(([file, check]): RestoreStep[] => {
    const [own, copy] = [join(run, file), join(folder, file)];
    if (holds(() => check(own)) || !isThere(copy)) return [];
    return [
      {
        repair: `${own} was ${isThere(own) ? 'damaged or changed' : 'missing'}; restored from ${copy}`,
        apply: () => writeFileAtomic(own, [readWholeFile(copy, LARGEST)]),
      },
    ];
  });
}

const tokenizerOf = (folder: string): unknown => readTokenizer(join(folder, 'tokenizer.json')).toJSON();

/** True if a file exists and its reader accepts it. */
function succeeds(path: string, read: (path: string) => unknown): boolean {
  read(path);
  return isThere(path);
}

/** Restores the best model from the checkpoint's copy, or from one that equals it. */
function restoreBest(run: string, checkpoint: Checkpoint): RestoreStep[] {
  const { best_step: step, best_is_average: isAverage, files } = checkpoint.state;
  if (step === 0) return [];
  const weights = weightsFile(checkpoint.model.config);
  const [best, own] = [join(checkpoint.folder, BEST), join(run, weights)];
  const isBest = (path: string): boolean => isIntact(path, step, files?.[BEST]);
  if (isBest(best)) return [{ apply: () => linkAtomic(best, own) }];
  const what = `${best} was ${isThere(best) ? 'damaged' : 'missing'}`;
  if (isBest(own)) return [{ repair: `${what}; restored from ${own}`, apply: () => linkAtomic(own, best) }];
  const base = checkpoint.model.base?.folder;
  const copies = [
    { path: own, open: (): ModelFolder | undefined => openModelFolder(run, { base }) },
    ...checkpointsOf(run)
      .filter((found) => found.step === step)
      .map((found) => ({
        path: join(found.folder, isAverage === true ? AVERAGE : weights),
        open: () => openCheckpoint(found, { base })[isAverage === true ? 'average' : 'model'],
      })),
  ];
  for (const { path, open } of copies) {
    const source = attempt(open);
    const pieces = source && attempt(() => rebuiltBest(source, checkpoint.state));
    if (pieces === undefined) continue;
    return [
      {
        repair: `${what}; restored from ${path}`,
        apply: () => {
          writeFileAtomic(own, pieces);
          linkAtomic(own, best);
        },
      },
    ];
  }
  // Options are validated later; a damaged state may hold anything.
  const { corpus } = checkpoint.state.options;
  const texts = (Array.isArray(corpus) ? corpus : ['corpus.txt']).map(String);
  throw new UserError(
    'damaged-file',
    `the best model, of step ${step}, is lost: ${what.replace(' was ', ' is ')}`,
    {
      hint: `the latest model can be continued as a new run: ${trainCall(texts, { initFrom: checkpoint.folder })}`,
    },
  );
}

/** Rebuilds the best model's file from its parameters; undefined if it is not the one the checkpoint knows. */
function rebuiltBest(
  source: ModelFolder,
  { best_step, best_loss, best_is_average, files }: TrainerState,
): Pieces | undefined {
  if (source.metadata['step'] !== String(best_step)) return undefined;
  const tensors = savedTensors(source.config, parameterTable(source.config)).map(hostTensor);
  source.load(tensors);
  const pieces = weightsPieces(source.config, tensors, {
    step: String(best_step),
    [ESTIMATED_LOSS]: String(best_loss),
    ...(best_is_average === true && { [IS_AVERAGE]: 'true' }),
    ...modelFacts(source.config, source.tokenizer),
  });
  const expected = files?.[BEST];
  return expected === undefined || checksumOf(pieces) === expected ? pieces : undefined;
}

type Pieces = ReturnType<typeof weightsPieces>;

/** True for intact weights of the given step. @param checksum expected one, if known */
const isIntact = (path: string, step: number, checksum?: string): boolean =>
  holds(() => {
    const weights = openSafetensors(path);
    try {
      weights.load(new Map());
    } finally {
      weights.close();
    }
    const isExpected = weights.checksum !== undefined && weights.checksum === (checksum ?? weights.checksum);
    return isExpected && weights.metadata['step'] === String(step);
  });

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
