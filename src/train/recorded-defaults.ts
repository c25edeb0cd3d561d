/** Recorded options that were not given but followed from others, for a new run in which those others change. */
import { isDeepStrictEqual } from 'node:util';
import { optionsOf, optionTable } from './options.ts';
import { DEFAULT_ARCHITECTURE } from './options/model.ts';
import { resolveOptions, type TrainModelOptions } from './settings.ts';
import { optionsFromJson } from './stored-options.ts';

type Options = Readonly<Record<string, unknown>>;

/** Their defaults are chosen for the text. */
const OF_VOCABULARY: ReadonlySet<string> = new Set([
  'minFrequency',
  'rareWords',
  'vocabSize',
  'bpeSizeFromText',
]);

/**
 * The names of recorded options that had their defaults, and no longer have them if `changes` replace other options: with 40
 * steps instead of 20, the decay ends at 40. A new run leaves them out. A default that stays the same may be given as well.
 *
 * @param changes options of the new run, among others that are not of the table
 */
export function outdatedDefaults(recorded: Options, changes: Options): ReadonlySet<string> {
  const kept: Record<string, unknown> = { ...optionsFromJson(recorded) };
  const settings = resolved(kept);
  const implied: string[] = [];
  for (const name of optionTable().keys()) {
    if (kept[name] === undefined || OF_VOCABULARY.has(name)) continue;
    const { [name]: _, ...rest } = kept;
    if (!isDeepStrictEqual(resolved(rest)[name], settings[name])) continue;
    delete kept[name];
    implied.push(name);
  }
  const next = resolved({ ...kept, ...among(changes, settings) });
  const startsFromModel = changes['initFrom'] !== undefined && kept['initFrom'] === undefined;
  const isOutdated = (name: string): boolean =>
    !isDeepStrictEqual(next[name], settings[name]) || (startsFromModel && isOfModel(name));
  return new Set(implied.filter((name) => changes[name] === undefined && isOutdated(name)));
}

/** A starting model sets shape and tokenizer, and its width the learning rate. */
const isOfModel = (name: string): boolean =>
  ['tokenizer', 'learningRate', 'minLr'].includes(name) || optionTable().get(name)?.group === 'Model';

/** The options of the table. A time limit stands for another number of steps. */
function among({ minutes, ...changes }: Options, { maxIters }: Options): Options {
  const known = Object.entries(changes).filter(([name]) => optionTable().has(name));
  return {
    ...(minutes !== undefined && { maxIters: maxIters === 1 ? 1000 : 1 }),
    ...Object.fromEntries(known),
  };
}

/** All settings by name; undefined those that do not apply to the architecture. */
function resolved(options: Options): Options {
  const { arch = DEFAULT_ARCHITECTURE } = options;
  const table = optionsOf(String(arch));
  const applicable = Object.entries(options).filter(([name]) => name === 'corpus' || table.has(name));
  return resolveOptions(Object.fromEntries(applicable) as unknown as TrainModelOptions);
}
