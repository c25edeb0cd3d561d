/**
 * Decides which files of a folder belong to a run and may be replaced or removed. The folder may hold the user's own files,
 * and names such as `checkpoint-7` or `report.html` prove nothing.
 */
import { closeSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { holds, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { openRegularFile, readInto } from '../read-file.ts';
import { ADAPTER_CONFIG } from './adapter-config.ts';
import { CARD, isOwnCard } from './card-file.ts';
import {
  AVERAGE,
  BEST,
  checkpointsOf,
  foreignCheckpoints,
  LEGACY_STATE,
  OPTIMIZER,
  REPLICAS,
  STATE,
} from './checkpoint-folders.ts';
import { EVENT_WRITER } from './event-file.ts';
import { isRunning, LOCK } from './lock.ts';
import { logNames, logPath } from './logs.ts';
import { hasOwnConfig } from './own-config.ts';
import { openSafetensors } from './safetensors.ts';
import { ADAPTER_WEIGHTS, WEIGHTS } from './weights.ts';

/** Files that may have our mark, see own-config.ts. */
const MARKED = ['generation_config.json', 'config.json'];
/** Files that describe a model. */
export const DESCRIPTION: readonly string[] = [
  'config.json',
  ADAPTER_CONFIG,
  'tokenizer.json',
  'tokenizer_config.json',
  'generation_config.json',
];
/** Files a run writes directly into its folder, except the lock. */
export const RUN_FILES: readonly string[] = [
  ...DESCRIPTION,
  WEIGHTS,
  ADAPTER_WEIGHTS,
  ...logNames.map((name) => logPath('', name)),
];
/** Files of a checkpoint. The state comes first, since a folder without one is not a checkpoint. */
export const CHECKPOINT_FILES: readonly string[] = [
  STATE,
  LEGACY_STATE,
  OPTIMIZER,
  AVERAGE,
  REPLICAS,
  BEST,
  WEIGHTS,
  ADAPTER_WEIGHTS,
  ...DESCRIPTION,
];
/** Default output of `gpt report`. */
const REPORT = 'report.html';
/** The generator named in pages of `gpt report`, which identifies them. */
export const REPORT_GENERATOR = 'gpt report';
/** In bytes: enough of a page to contain its generator, and of an event file to contain its first record. */
const HEAD = 4096;

const anyOf = (names: readonly string[]): string =>
  names.map((name) => name.replaceAll('.', '[.]')).join('|');

/** Temporary name of a file or checkpoint being written: its final name and the process id. */
const TEMPORARY = new RegExp(
  `^(checkpoint-\\d+(?:[.]old)?|${anyOf([...RUN_FILES, LOCK, REPORT, CARD])})[.](\\d+)(?:[.]stale)?[.]tmp$`,
);
const TEMPORARY_IN_CHECKPOINT = new RegExp(`^(${anyOf(CHECKPOINT_FILES)})[.]\\d+[.]tmp$`);

/**
 * A folder is a run if it has a checkpoint of ours, or the model folder of a run before its first checkpoint. transformers
 * preserves the mark in config.json when it saves a model of ours, but not the one in the weights.
 */
export function isRun(folder: string): boolean {
  if (checkpointsOf(folder).length > 0) return true;
  return hasOwnConfig(folder) && hasOwnWeights(folder) && foreignCheckpoints(folder).length === 0;
}

const hasOwnWeights = (folder: string): boolean =>
  [WEIGHTS, ADAPTER_WEIGHTS]
    .map((file) => join(folder, file))
    .filter((path) => existsSync(path))
    .every((path) =>
      holds(() => {
        const weights = openSafetensors(path);
        weights.close();
        return weights.checksum !== undefined;
      }),
    );

/** Empty except for temporary files of killed processes. */
export const isVacant = (folder: string): boolean =>
  readdirSync(folder).every((file) => file === LOCK || TEMPORARY.test(file));

/** Files that file managers leave in every folder. */
const CLUTTER: ReadonlySet<string> = new Set(['.DS_Store', 'Thumbs.db', 'desktop.ini']);

/** Paths within a run's folder that do not belong to the run. */
export function foreignEntries(folder: string): string[] {
  const checkpoints = new Set(checkpointsOf(folder).map((checkpoint) => basename(checkpoint.folder)));
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const { name } = entry;
    if (TEMPORARY.test(name)) return [];
    if (entry.isDirectory())
      return checkpoints.has(name) ? foreignInCheckpoint(join(folder, name), name) : [name];
    const isOwn =
      RUN_FILES.includes(name) || name === LOCK || CLUTTER.has(name) || isRecognized(folder, name);
    return isOwn ? [] : [name];
  });
}

/** Entries of a checkpoint's folder that do not belong to it, below the name `within`. */
const foreignInCheckpoint = (checkpoint: string, within = ''): string[] =>
  readdirSync(checkpoint, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || !isOwnInCheckpoint(entry.name))
    .map(({ name }) => join(within, name));

const isOwnInCheckpoint = (name: string): boolean =>
  CHECKPOINT_FILES.includes(name) || CLUTTER.has(name) || isTemporaryInCheckpoint(name);

/** True for the temporary name of a file that was being written into a checkpoint. */
export const isTemporaryInCheckpoint = (name: string): boolean => TEMPORARY_IN_CHECKPOINT.test(name);

/** The remains of a removed checkpoint that contained files of the user. */
const KEPT = /^checkpoint-\d+[.]kept(-\d+)?$/;

/**
 * Removes a checkpoint. It is renamed first, so that a partly removed one never counts as complete. Other files in it are
 * kept in a folder of another name, since the run may need this name again.
 *
 * @throws a system error if something cannot be removed
 */
export function removeCheckpoint(checkpoint: string): void {
  if (foreignInCheckpoint(checkpoint).length > 0) {
    const kept = keptName(checkpoint);
    renameSync(checkpoint, kept);
    removeOwnIn(kept);
    return;
  }
  const aside = `${checkpoint}.old.${process.pid}.tmp`;
  renameSync(checkpoint, aside);
  rmSync(aside, { recursive: true, force: true });
}

function keptName(checkpoint: string): string {
  const name = (n: number): string => `${checkpoint}.kept${n === 0 ? '' : `-${n}`}`;
  let n = 0;
  while (existsSync(name(n))) n++;
  return name(n);
}

function removeOwnIn(kept: string): void {
  for (const { name } of readdirSync(kept, { withFileTypes: true }).filter((entry) => !entry.isDirectory()))
    if (isOwnInCheckpoint(name)) rmSync(join(kept, name), { force: true });
}

/** True for a file that the run, or a report of it, can be shown to have written. */
const isRecognized = (folder: string, name: string): boolean =>
  (name === CARD && isOwnCard(join(folder, CARD))) ||
  (name === REPORT && isReport(join(folder, REPORT))) ||
  isOwnEventFile(folder, name);

/** The names of TensorBoard's files say nothing about who wrote them; their first record does. */
const isOwnEventFile = (folder: string, name: string): boolean =>
  name.startsWith('events.out.tfevents.') && hasInHead(join(folder, name), EVENT_WRITER);

/**
 * Removes the run in a folder, and nothing else, to make room for a new one.
 *
 * @throws UserError before anything is removed, if a file that does not belong to a run is in the way
 */
export function removeRun(folder: string): void {
  const isOwn = isRun(folder);
  const inCheckpoints = checkpointsOf(folder).flatMap((each) =>
    foreignInCheckpoint(each.folder, each.folder),
  );
  const inTheWay =
    foreignCheckpoints(folder)[0]?.folder ??
    inCheckpoints[0] ??
    (isOwn ? undefined : RUN_FILES.map((file) => join(folder, file)).find((path) => existsSync(path)));
  if (inTheWay !== undefined)
    throw new UserError('output-exists', `${inTheWay} is not part of a run, so it is not replaced`, {
      hint: `choose another ${optionName('outDir')}, or move it away`,
    });
  for (const { folder: checkpoint } of checkpointsOf(folder)) removeCheckpoint(checkpoint);
  for (const file of readdirSync(folder)) if (isRecognized(folder, file)) rmSync(join(folder, file));
  for (const file of REMOVED_IN_ORDER) rmSync(join(folder, file), { force: true });
  sweepTemporaries(folder);
}

/** The files with our mark are removed last: until then, they show that the others are ours. */
export const REMOVED_IN_ORDER: readonly string[] = RUN_FILES.toSorted(
  (a, b) => MARKED.indexOf(a) - MARKED.indexOf(b),
);

const isReport = (path: string): boolean => hasInHead(path, `name="generator" content="${REPORT_GENERATOR}"`);

const hasInHead = (path: string, mark: string): boolean =>
  holds(() => {
    const { fd, size } = openRegularFile(path);
    try {
      const head = Buffer.alloc(Math.min(size, HEAD));
      readInto(fd, path, head, 0);
      return head.includes(mark);
    } finally {
      closeSync(fd);
    }
  });

/** Files written without holding the lock. */
const UNLOCKED: ReadonlySet<string> = new Set([LOCK, REPORT]);

/**
 * Removes temporary files left by killed processes or, in a copied run, by the process that continues the original.
 *
 * The caller holds the lock, so no other process can be writing anything but a report or a lock; those of running processes
 * stay.
 */
export function sweepTemporaries(folder: string): void {
  for (const path of temporariesOf(folder)) rmSync(path, { recursive: true, force: true });
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory() && KEPT.test(entry.name)) removeOwnIn(join(folder, entry.name)); // if a kill prevented that
}

/** Paths of the temporary files and folders that `sweepTemporaries` removes. */
export function temporariesOf(folder: string): string[] {
  const isLeft = (file: string): boolean => {
    const [, name, pid] = TEMPORARY.exec(file) ?? [];
    if (name === undefined) return false;
    return !UNLOCKED.has(name) || Number(pid) === process.pid || !isRunning(Number(pid));
  };
  return readdirSync(folder)
    .filter(isLeft)
    .map((file) => join(folder, file));
}
