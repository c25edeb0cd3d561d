/** The command that repeats a run. */
import { basename, isAbsolute } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { flagOf } from '../flag-name.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { shellQuoted } from '../shell-quote.ts';
import { optionsOf } from './options.ts';
import type { Settings } from './settings.ts';

/** Options that follow from a starting model. */
const OF_STARTING_MODEL: ReadonlySet<string> = new Set([
  'arch',
  'nLayer',
  'nHead',
  'nEmbd',
  'tieWordEmbeddings',
  'tokenizer',
  'rareWords',
  'vocabSize',
  'initialization',
]);
/** Without a number of steps, a run has a time limit; a starting model has its own context length. */
const ALWAYS: ReadonlySet<string> = new Set(['maxIters', 'blockSize', 'seed']);
const PATHS: ReadonlySet<string> = new Set(['initFrom', 'valFile']);

/**
 * `gpt train` with the options that differ from its defaults. Absolute paths are shortened to file names: the command may be
 * published in a model card, and the user's folders are private.
 */
export function trainCommand(settings: Settings): string {
  const values = settings as unknown as Readonly<Record<string, unknown>>;
  const { fields } = architectureOf(settings);
  const words = settings.corpus.map((path) => shellQuoted(withoutFolder(path)));
  for (const [name, row] of optionsOf(settings.arch)) {
    const value = values[name];
    if (value === undefined || row.hasFlag === false || row.onResume === 'invocation') continue;
    if (settings.initFrom !== undefined && (OF_STARTING_MODEL.has(name) || Object.hasOwn(fields, name)))
      continue;
    const usual =
      row.flagDefault ?? (typeof row.default === 'function' ? row.default(settings) : row.default);
    if (isDeepStrictEqual(value, usual) && !ALWAYS.has(name)) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    words.push(flagOf(name), shellQuoted(PATHS.has(name) ? withoutFolder(text) : text));
  }
  const stdin = settings.corpus.includes('-') ? 'cat corpus.txt | ' : '';
  return `${stdin}gpt train ${words.join(' ')}`;
}

const withoutFolder = (path: string): string => (isAbsolute(path) ? basename(path) : path);

/** Whether the command alone leads to the same weights: nothing was changed when the run was resumed. */
export const isRepeatable = ({ pastSchedules, rewarmStart, lrDecayFrom, forcedChanges }: Settings): boolean =>
  pastSchedules.length === 0 && rewarmStart === 0 && lrDecayFrom === 0 && forcedChanges.length === 0;
