/**
 * Which files of a folder recognisably belong to a run and may be replaced or cleaned up. The folder may hold the user's own
 * files, and names such as `checkpoint-7` or `report.html` prove nothing.
 */
import { closeSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { holds, UserError } from '../errors.ts';
import { openRegularFile, readInto } from '../read-file.ts';
import { checkpointsOf, foreignCheckpoints } from './checkpoint-folders.ts';
import { isRunning, LOCK } from './lock.ts';
import { logNames, logPath } from './logs.ts';
import { hasOwnConfig } from './own-config.ts';
import { openSafetensors } from './safetensors.ts';
import { WEIGHTS } from './weights.ts';

const DESCRIPTION = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'];
/** What a run writes directly into its folder, but for the lock. */
export const RUN_FILES: readonly string[] = [
  ...DESCRIPTION,
  WEIGHTS,
  ...logNames.map((name) => logPath('', name)),
];
/** `gpt report` writes it into the run unless told otherwise. */
const REPORT = 'report.html';
/** What a page of `gpt report` names as its generator, which tells it from other files of that name. */
export const REPORT_GENERATOR = 'gpt report';
/** In bytes. The mark is in the head of the page. */
const REPORT_HEAD = 4096;

/** Name of a file or checkpoint while it is written: what it is going to be, and the number of the process. */
const TEMPORARY = new RegExp(
  `^(checkpoint-\\d+(?:[.]old)?|${[...RUN_FILES, LOCK, REPORT].map((name) => name.replaceAll('.', '[.]')).join('|')})[.](\\d+)(?:[.]stale)?[.]tmp$`,
);

/**
 * Whether a folder is a run of `gpt train`: it has a checkpoint of ours, or is the model folder of a run that has not come
 * to its first. transformers keeps the mark in config.json when it saves a model of ours again, but not the one in the
 * weights.
 */
export function isRun(folder: string): boolean {
  if (checkpointsOf(folder).length > 0) return true;
  return hasOwnConfig(folder) && hasOwnWeights(folder) && foreignCheckpoints(folder).length === 0;
}

function hasOwnWeights(folder: string): boolean {
  const path = join(folder, WEIGHTS);
  if (!existsSync(path)) return true;
  return holds(() => {
    const weights = openSafetensors(path);
    weights.close();
    return weights.checksum !== undefined;
  });
}

/** Whether a folder is empty, apart from the temporary files of killed processes. */
export const isVacant = (folder: string): boolean =>
  readdirSync(folder).every((file) => file === LOCK || TEMPORARY.test(file));

/**
 * Makes room for a new run in a folder: removes the run that is there, and nothing else.
 *
 * @throws UserError, before anything is removed, if something that is no part of a run is in the way
 */
export function removeRun(folder: string): void {
  const isOwn = isRun(folder);
  const inTheWay =
    foreignCheckpoints(folder)[0]?.folder ??
    (isOwn ? undefined : RUN_FILES.map((file) => join(folder, file)).find((path) => existsSync(path)));
  if (inTheWay !== undefined)
    throw new UserError(
      'output-exists',
      `${inTheWay} is not part of a run of gpt train, so it is not replaced`,
      {
        hint: 'name another --out-dir, or move it away',
      },
    );
  for (const { folder: checkpoint } of checkpointsOf(folder)) rmSync(checkpoint, { recursive: true });
  for (const file of RUN_FILES) rmSync(join(folder, file), { force: true });
  if (isReport(join(folder, REPORT))) rmSync(join(folder, REPORT));
  sweepTemporaries(folder);
}

const isReport = (path: string): boolean =>
  holds(() => {
    const { fd, size } = openRegularFile(path);
    try {
      const head = Buffer.alloc(Math.min(size, REPORT_HEAD));
      readInto(fd, path, head, 0);
      return head.includes(`name="generator" content="${REPORT_GENERATOR}"`);
    } finally {
      closeSync(fd);
    }
  });

/** What is written without the run's lock. */
const UNLOCKED: ReadonlySet<string> = new Set([LOCK, REPORT]);

/**
 * Removes what was left half-written in a run by killed processes or, in a copy of a run, by one that continues elsewhere.
 *
 * The caller holds the run's lock: nobody else can be writing anything but a report or a lock, and those of running
 * processes stay.
 */
export function sweepTemporaries(folder: string): void {
  for (const file of readdirSync(folder)) {
    const [, name, pid] = TEMPORARY.exec(file) ?? [];
    if (name === undefined) continue;
    const isBeingWritten = UNLOCKED.has(name) && Number(pid) !== process.pid && isRunning(Number(pid));
    if (!isBeingWritten) rmSync(join(folder, file), { recursive: true, force: true });
  }
}
