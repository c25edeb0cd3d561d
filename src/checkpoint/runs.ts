/** Finds runs by name. Each is a folder under checkpoints/; run.ts describes its content. */
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, extname, isAbsolute, join, normalize } from 'node:path';
import { holds, isSystemError, UserError } from '../errors.ts';
import { optionName, trainCall } from '../messages.ts';
import { shellQuoted } from '../shell-quote.ts';
import { closest } from '../suggest.ts';
import { makeFolder } from '../write-file.ts';
import { ADAPTER_CONFIG } from './adapter-config.ts';
import {
  latestCheckpoint,
  latestTrainerCheckpoint,
  modelLocation,
  STATE,
  stateFileOf,
} from './checkpoint-folders.ts';
import { readTrainerState } from './trainer-state.ts';
import { ADAPTER_WEIGHTS, WEIGHTS } from './weights.ts';

export const RUNS = 'checkpoints';

const TRAIN_ONE = trainCall(['corpus.txt'], {});

/**
 * Creates a folder for a new run under checkpoints/, named after the corpus with the first free number: `moby-dick-1`.
 * Concurrent processes get different folders.
 */
export function makeRunFolder(corpus: string): string {
  makeFolder(RUNS);
  for (let n = 1; ; n++) {
    const folder = join(RUNS, `${runName(corpus)}-${n}`);
    try {
      mkdirSync(folder);
      return folder;
    } catch (error) {
      if (!isSystemError(error) || error.code !== 'EEXIST') throw error;
    }
  }
}

function runName(corpus: string): string {
  const stem = corpus === '-' ? 'stdin' : basename(corpus, extname(corpus));
  return stem.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[-.]+/, '') || 'run';
}

/** Resolves a run or model given by path or, if there is none at the path, by name under checkpoints/. */
export function resolveRun(name: string): string {
  if (name === '' || isAbsolute(name) || normalize(name).startsWith('..')) return name; // no name of a run
  const run = join(RUNS, name);
  return existsSync(run) && (!existsSync(name) || (isWithoutModel(name) && !isWithoutModel(run)))
    ? run
    : name;
}

/** True for a folder such as docs/, beside which there may be a run of that name. */
const isWithoutModel = (path: string): boolean =>
  statSync(path).isDirectory() &&
  !['config.json', ADAPTER_CONFIG, 'tokenizer.json', 'metrics.jsonl', STATE].some((file) =>
    existsSync(join(path, file)),
  ) &&
  latestCheckpoint(path) === undefined &&
  latestTrainerCheckpoint(path) === undefined;

/** Maximum number of names in a one-line hint. */
const MAX_NAMED = 5;

/** Hint for a path that is neither a model nor a run: runs with a similar name, all runs, or how to train one. */
export function hintForMissingRun(path: string): string {
  const names = (readable(runFolders) ?? []).map((folder) => basename(folder));
  if (names.length === 0) return `there is no model under ${RUNS}/ yet; train one with \`${TRAIN_ONE}\``;
  const typed = basename(path);
  const longer = names.filter((name) => name.startsWith(typed));
  const similar = longer.length > 0 ? longer : [closest(typed, names)].filter((name) => name !== undefined);
  if (similar.length === 1) return `did you mean ${shellQuoted(similar[0])}?`;
  const [which, listed] =
    similar.length > 0 ? [`that begin with ${shellQuoted(typed)}`, similar] : [`under ${RUNS}/`, names];
  const more = listed.length > MAX_NAMED ? `, … (${listed.length} in all)` : '';
  return `runs ${which}: ${listed.slice(0, MAX_NAMED).map(shellQuoted).join(', ')}${more}`;
}

/** The run under checkpoints/ whose model was written last. @throws UserError if there is none */
export function newestRun(): string {
  const newest = newestUnder(RUNS, weightsOf);
  if (newest === undefined)
    throw new UserError('file-not-found', `there is no trained model under ${RUNS}/`, {
      hint: `train one with \`${TRAIN_ONE}\`, or pass the folder of a model`,
    });
  return newest;
}

/** The run under checkpoints/ whose checkpoint was written last. @throws UserError if there is none */
export function newestResumable(): string {
  const newest = newestUnder(RUNS, (folder) => {
    const latest = latestCheckpoint(folder);
    const stateFile = latest && stateFileOf(latest.folder);
    return stateFile === undefined || isPruned(stateFile) ? undefined : stateFile;
  });
  if (newest === undefined)
    throw new UserError('file-not-found', `there is no run under ${RUNS}/ to resume`, {
      hint: `start one with \`${TRAIN_ONE}\`, or pass the folder of one to ${optionName('resume')}`,
    });
  return newest;
}

/** A run whose state cannot be read does not count as pruned: resuming it reports what is wrong. */
const isPruned = (stateFile: string): boolean => holds(() => readTrainerState(stateFile).pruned === true);

/** All runs under checkpoints/ with a model, by name. */
export const runFolders = (): string[] =>
  foldersIn(RUNS).filter((folder) => readable(() => existsSync(weightsOf(folder))));

/** The weights of a model or adapter. */
export function weightsOf(folder: string): string {
  const location = modelLocation(folder);
  const adapter = join(location, ADAPTER_WEIGHTS);
  return existsSync(adapter) ? adapter : join(location, WEIGHTS);
}

/** The folder in `parent` whose file `fileOf(folder)` is the newest. */
function newestUnder(parent: string, fileOf: (folder: string) => string | undefined): string | undefined {
  const times = foldersIn(parent).flatMap((folder) => {
    const time = readable(() => {
      const file = fileOf(folder);
      return file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    });
    return time === undefined ? [] : [{ folder, time }];
  });
  return times.toSorted((a, b) => b.time - a.time)[0]?.folder;
}

/** Folders, and links to folders, by name, except hidden ones such as those of delete-run.ts. */
export function foldersIn(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(parent, name))
    .filter((path) => readable(() => statSync(path).isDirectory()))
    .toSorted();
}

/** The result for one folder, or undefined if it is unreadable, so that it does not hide the others. */
function readable<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
