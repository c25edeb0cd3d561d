/** Where runs live: one folder each under checkpoints/. What is in one, run.ts says. */
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { isSystemError, UserError } from '../errors.ts';
import { makeFolder } from './atomic.ts';
import { WEIGHTS } from './model-folder.ts';
import { latestCheckpoint } from './run.ts';
import { STATE } from './trainer-state.ts';

export const RUNS = 'checkpoints';

/**
 * Makes a folder for a new run under checkpoints/: the corpus' name and the first number not taken, `moby-dick-1`. Of
 * several processes that ask at once, each gets a folder of its own.
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

/** A run or model as its user names it: by its path or, where no file has that, by its name under checkpoints/. */
export function resolveRun(name: string): string {
  const run = join(RUNS, name);
  return !existsSync(name) && existsSync(run) ? run : name;
}

/** The run under checkpoints/ whose model was written last. @throws UserError if there is none */
export function newestRun(): string {
  const newest = newestUnder(RUNS, (folder) => join(folder, WEIGHTS));
  if (newest === undefined)
    throw new UserError(`there is no trained model under ${RUNS}/`, {
      hint: 'train one with `gpt train corpus.txt`, or name a model folder with --model',
    });
  return newest;
}

/** The run under checkpoints/ whose training was saved last. @throws UserError if there is none */
export function newestResumable(): string {
  const newest = newestUnder(RUNS, (folder) => {
    const checkpoint = latestCheckpoint(folder);
    return checkpoint === undefined ? undefined : join(checkpoint.folder, STATE);
  });
  if (newest === undefined)
    throw new UserError(`there is no run under ${RUNS}/ to go on with`, {
      hint: 'start one with `gpt train corpus.txt`, or name its folder: --resume FOLDER',
    });
  return newest;
}

/** Every run under checkpoints/ that has a model, by name. */
export function runFolders(): string[] {
  if (!existsSync(RUNS)) return [];
  return readdirSync(RUNS)
    .map((name) => join(RUNS, name))
    .filter((folder) => existsSync(join(folder, WEIGHTS)))
    .toSorted();
}

/** The folder in `parent` whose file `fileOf(folder)` is the newest. */
function newestUnder(parent: string, fileOf: (folder: string) => string | undefined): string | undefined {
  if (!existsSync(parent)) return undefined;
  const times = readdirSync(parent, { withFileTypes: true }).flatMap((entry) => {
    const folder = join(parent, entry.name);
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
    const file = fileOf(folder);
    const time = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    return time === undefined ? [] : [{ folder, time }];
  });
  return times.toSorted((a, b) => b.time - a.time)[0]?.folder;
}
