/**
 * Start and end tokens of generation: `bos_token_id` and `eos_token_id` of generation_config.json and config.json, with the
 * precedence of `generate()` in transformers.
 */
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { JsonObject } from '../tokenizer/tokenizer-json.ts';
import type { SpecialTokens, Tokenizer } from '../tokenizer/tokenizer.ts';
import { readOptionalJson } from './tokenizer-config.ts';

type Special = { readonly special: SpecialTokens };

/** The content of generation_config.json. A GPT-2 in transformers cannot generate beyond its context length. */
export const toGenerationConfigJson = (
  { blockSize }: { readonly blockSize: number },
  tokenizer: Special,
): Record<string, unknown> => ({
  do_sample: true,
  max_length: blockSize,
  ...Object.fromEntries(Object.entries(boundaryIds(tokenizer)).filter(([, id]) => id !== null)),
});

/** For config.json, where a missing id must be null because the default is 50256. */
export function boundaryIds({ special: { startId, endIds } }: Special): Record<string, unknown> {
  const ends = [...endIds];
  return {
    bos_token_id: startId ?? null,
    eos_token_id: ends.length > 1 ? ends : (ends[0] ?? null),
  };
}

/**
 * Applies the start and end tokens of a model folder to its tokenizer. generation_config.json takes precedence over
 * config.json, and both over the roles bos_token and eos_token; null means none.
 *
 * @throws UserError if an id has no token
 */
export function withBoundaries(tokenizer: Tokenizer, folder: string): Tokenizer {
  const files = ['generation_config.json', 'config.json'].map((name) => {
    const path = join(folder, name);
    return { path, json: readOptionalJson(path, DAMAGED) ?? {} };
  });
  const { special, unkId } = tokenizer;
  const idsOf = (field: string): number[] | undefined => {
    for (const { path, json } of files) {
      const ids = readIds(json, field, path);
      if (ids === undefined) continue;
      const usable = ids.filter((id) => id < tokenizer.vocabSize && !isUnset(id, tokenizer));
      for (const id of usable)
        if (tokenizer.vocabulary[id] === '')
          throw new UserError(
            'mismatched-files',
            `${path}: "${field}" is ${id}, but the tokenizer has no such token`,
            {
              hint: 'the tokenizer lacks added tokens of the model; save both again with transformers',
            },
          );
      // An id beyond the vocabulary is the unchanged default of GPT2Config.
      if (usable.length > 0 || ids.length === 0) return usable.filter((id) => id !== unkId);
    }
    return undefined;
  };
  const [start, end] = [idsOf('bos_token_id'), idsOf('eos_token_id')];
  return {
    ...tokenizer,
    special: {
      ...special,
      startId: start === undefined ? special.startId : start[0],
      endIds: end === undefined ? special.endIds : new Set(end),
    },
  };
}

const DAMAGED = 'the file is damaged; use another copy, or delete it to use the ids in config.json';

/** @throws UserError if a generation_config.json is unreadable or its token ids are invalid */
export function checkGenerationConfig(path: string): void {
  const json = readOptionalJson(path, DAMAGED) ?? {};
  for (const field of ['bos_token_id', 'eos_token_id']) readIds(json, field, path);
}

/** Default of both ids in GPT2Config. */
const GPT2_DEFAULT = 50256;
const isUnset = (id: number, { vocabulary }: Tokenizer): boolean =>
  id === GPT2_DEFAULT && vocabulary[id] === '';

/** Undefined if the field is absent; empty for null. */
function readIds(json: JsonObject, field: string, path: string): number[] | undefined {
  const value = json[field];
  if (value === undefined) return undefined;
  const ids: unknown[] = value === null ? [] : [value].flat();
  if (!ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0))
    throw new UserError(
      'damaged-file',
      `${path}: "${field}" is ${shownJson(value)}, not a token id or a list of them`,
      {
        hint: 'correct it or set it to null',
      },
    );
  return ids;
}
