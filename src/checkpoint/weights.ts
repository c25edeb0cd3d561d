/**
 * The weights of a model folder: a single safetensors file, or shards with an index, as `transformers` writes large models:
 *
 *     model.safetensors.index.json   { "weight_map": { "transformer.wte.weight": "model-00001-of-00002.safetensors", … } }
 */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../errors.ts';
import { isJsonObject, parseJsonObject, shownJson } from '../json.ts';
import { readTextFile } from '../read-file.ts';
import type { TensorEntry } from './safetensors-header.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

export const WEIGHTS = 'model.safetensors';
/** The weights of an adapter. */
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const INDEX = 'model.safetensors.index.json';

/** In bytes. A model of 1,000 layers has 12,000 tensors, one per line. */
const LARGEST_INDEX = 16e6;
const MAX_SHARDS = 200;

/** Open weights; the caller closes them. */
export interface Weights extends Omit<SafetensorsFile, 'dataStart' | 'checksum'> {
  /** File to name in messages: the weights, or the index of the shards. */
  readonly path: string;
}

/**
 * @param file name of the weights file: a checkpoint may have others, such as the average
 * @throws UserError if the shards contradict the index; SafetensorsError or a system error if a file cannot be read
 */
export function openWeights(folder: string, file = WEIGHTS): Weights {
  const path = join(folder, file);
  // transformers prefers the single file, too
  if (file !== WEIGHTS || existsSync(path) || !existsSync(join(folder, INDEX)))
    return { ...openSafetensors(path), path };
  return openShards(folder, join(folder, INDEX));
}

function openShards(folder: string, path: string): Weights {
  const shardOf = readIndex(path);
  const shards = new Map<string, SafetensorsFile>();
  const close = (): void => shards.forEach((shard) => shard.close());
  try {
    for (const name of new Set(shardOf.values())) {
      checkInside(folder, name, path);
      shards.set(name, openSafetensors(join(folder, name)));
    }
    const tensors = mergeTensors(shards, shardOf, path);
    return {
      path,
      tensors,
      metadata: {},
      read: (tensor) => shards.get(shardOf.get(tensor) ?? '')!.read(tensor),
      load(into, options) {
        for (const [i, shard] of [...shards.values()].entries())
          shard.load(new Map([...into].filter(([tensor]) => shard.tensors.has(tensor))), {
            ...options,
            loaded: (done) => options?.loaded?.((i + done) / shards.size),
          });
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The shard of each tensor. */
function readIndex(path: string): Map<string, string> {
  const fail = (what: string): never => {
    throw new UserError('damaged-file', `${path} ${what}`, { hint: 'the file is damaged; use another copy' });
  };
  const { weight_map: map } = parseJsonObject(readTextFile(path, LARGEST_INDEX), fail);
  if (!isJsonObject(map)) return fail(`has the "weight_map" ${shownJson(map)}, not an object`);
  for (const [tensor, shard] of Object.entries(map))
    if (typeof shard !== 'string' || !/^[^/\\\0]+\.safetensors$/.test(shard))
      fail(`gives ${shownJson(tensor)} the file ${shownJson(shard)}, not a safetensors file beside it`);
  const shardOf = new Map(Object.entries(map as Record<string, string>));
  const count = new Set(shardOf.values()).size;
  if (count > MAX_SHARDS) fail(`names ${count} files; at most ${MAX_SHARDS} are read`);
  return shardOf;
}

/**
 * A shard must be in the folder, not a link out of it. The exception is Hugging Face's hub cache, where
 * `snapshots/<revision>/` consists of links to `blobs/`.
 */
function checkInside(folder: string, name: string, index: string): void {
  const path = join(folder, name);
  if (!existsSync(path))
    throw new UserError('file-not-found', `${path} is missing, which ${index} lists`, {
      hint: 'download or copy it again',
    });
  const home = dirname(realpathSync(path));
  const snapshots = dirname(realpathSync(folder));
  const isCached = /[\\/]snapshots$/.test(snapshots) && home === join(dirname(snapshots), 'blobs');
  if (home !== realpathSync(folder) && !isCached)
    throw new UserError('symbolic-link', `${path} links out of the model folder`, {
      hint: 'replace the link with the file itself',
    });
}

/** All tensors, after checking that each is in the shard named by the index and in no other. */
function mergeTensors(
  shards: ReadonlyMap<string, SafetensorsFile>,
  shardOf: ReadonlyMap<string, string>,
  path: string,
): Map<string, TensorEntry> {
  const hint = 'the files belong to different models; use another copy';
  const tensors = new Map<string, TensorEntry>();
  for (const [name, shard] of shards)
    for (const [tensor, entry] of shard.tensors) {
      if (shardOf.get(tensor) !== name)
        throw new UserError(
          'mismatched-files',
          `${name} has the tensor ${shownJson(tensor)}, which ${path} ${
            shardOf.has(tensor) ? `expects in ${shardOf.get(tensor)}` : 'does not list'
          }`,
          { hint },
        );
      tensors.set(tensor, entry);
    }
  for (const [tensor, shard] of shardOf)
    if (!tensors.has(tensor))
      throw new UserError(
        'mismatched-files',
        `${shard} lacks the tensor ${shownJson(tensor)}, which ${path} expects in it`,
        {
          hint,
        },
      );
  return tensors;
}
