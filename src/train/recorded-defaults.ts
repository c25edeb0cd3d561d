/** Recorded options that a new run does not take over because others, from which they followed, change. */
import { isDeepStrictEqual } from 'node:util';
import { namesTokenFile } from '../data/token-file.ts';
import { architectureNames } from '../model/architectures/registry.ts';
import { optionsOf, optionTable } from './options.ts';
import { DEFAULT_ARCHITECTURE } from './options/model.ts';
import { resolveOptions, type TrainModelOptions } from './settings.ts';
import { optionsFromJson } from './stored-options.ts';

type Options = Readonly<Record<string, unknown>>;

/** Options of the vocabulary that a run builds, whose defaults are chosen for the text. */
const VOCABULARY = ['minFrequency', 'rareWords', 'vocabSize', 'bpeSizeFromText'];

/**
 * The names of recorded options that had their defaults, and no longer have them if `changes` replace other options: with 40
 * steps instead of 20, the decay ends at 40. A new run leaves them out. A default that stays the same may be given as well.
 *
 * @param changes options of the new run, among others that are not of the table
 */
export function outdatedDefaults(recorded: Options, changes: Options): ReadonlySet<string> {
  const kept: Record<string, unknown> = { ...optionsFromJson(recorded) };
  const { arch = DEFAULT_ARCHITECTURE } = kept;
  if (!architectureNames().some((name) => name === arch)) return new Set(); // refused later
  const settings = resolved(kept);
  const implied: string[] = [];
  for (const name of optionTable().keys()) {
    if (kept[name] === undefined || VOCABULARY.includes(name)) continue;
    const { [name]: _, ...rest } = kept;
    if (!isDeepStrictEqual(resolved(rest)[name], settings[name])) continue;
    delete kept[name];
    implied.push(name);
  }
  const next = lengthsOf(changes).map((length) => resolved({ ...kept, ...ofTable(changes), ...length }));
  const startsFromModel = changes['initFrom'] !== undefined && changes['initFrom'] !== recorded['initFrom'];
  const isOutdated = (name: string): boolean =>
    next.some((each) => !isDeepStrictEqual(each[name], settings[name])) ||
    (startsFromModel && isOfModel(name));
  return new Set(implied.filter((name) => changes[name] === undefined && isOutdated(name)));
}

/** A starting model sets shape and tokenizer, and its width the learning rate. */
const isOfModel = (name: string): boolean =>
  ['tokenizer', 'learningRate', 'minLr'].includes(name) || optionTable().get(name)?.group === 'Model';

const ofTable = (changes: Options): Options =>
  Object.fromEntries(Object.entries(changes).filter(([name]) => optionTable().has(name)));

/** The length of the new run, if it changes. With a time limit it is not known yet: a default of no other length stays. */
const lengthsOf = ({ minutes }: Options): Options[] =>
  minutes === undefined ? [{}] : [{ maxIters: 1 }, { maxIters: 1e9 }];

/** All settings by name; undefined those that do not apply to the architecture. */
function resolved(options: Options): Options {
  const { arch = DEFAULT_ARCHITECTURE } = options;
  const table = optionsOf(String(arch));
  const applicable = Object.entries(options).filter(([name]) => name === 'corpus' || table.has(name));
  return resolveOptions(Object.fromEntries(applicable) as unknown as TrainModelOptions);
}

/**
 * The names of recorded options that describe a vocabulary which the new run, or `gpt tokenize`, does not build: it starts from
 * a model, reads token files, uses an existing tokenizer, or has another one.
 *
 * @param changes options that are given, and the `corpus` if that is given
 */
export function outdatedVocabularyOptions(recorded: Options, changes: Options): ReadonlySet<string> {
  const { corpus, initFrom, model } = { ...recorded, ...changes };
  return new Set([
    ...(initFrom === undefined ? [] : setByModel(recorded)),
    ...(namesTokenFile(corpus) ? ['tokenizer', ...VOCABULARY] : []),
    ...(model === undefined ? [] : ['tokenizer', 'specialTokens', ...VOCABULARY]),
    ...ofChangedTokenizer(recorded, changes),
  ]);
}

/** What a starting model determines. */
const setByModel = ({ growVocab, tokenizer }: Options): string[] => [
  'tokenizer',
  'preset',
  'vocabSize',
  'rareWords',
  ...(growVocab !== true || tokenizer === 'bpe' ? ['minFrequency'] : []),
];

/** Recorded defaults that were chosen for the tokenizer. */
function ofChangedTokenizer(recorded: Options, changes: Options): string[] {
  const isChanged = (name: string): boolean =>
    changes[name] !== undefined && changes[name] !== recorded[name];
  return [
    ...(recorded['minFrequency'] === 1 && (isChanged('tokenizer') || isChanged('rareWords'))
      ? ['minFrequency']
      : []),
    ...(isChanged('tokenizer') ? ['rareWords'] : []),
  ];
}
