import { statSync } from 'node:fs';
import { openAdapter, type AdapterOpening } from './adapter-folder.ts';
import { isAdapterFolder, modelLocation } from './checkpoint-folders.ts';
import { UsageError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { openWholeModel, type ModelFolder } from './model-folder.ts';

/**
 * Opens a model folder, or an adapter together with its base.
 *
 * @throws UserError naming the file that is missing, damaged, or inconsistent with the others; UsageError for the base of
 * a model that is not an adapter
 */
export function openModelFolder(path: string, opening: AdapterOpening = {}): ModelFolder {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? modelLocation(path) : path;
  if (isFolder && isAdapterFolder(folder)) return openAdapter(folder, opening);
  const model = openWholeModel(folder, opening.file);
  if (opening.base === undefined) return model;
  throw new UsageError(
    'conflicting-options',
    `${optionName('base')} has no effect: ${path} is not an adapter`,
    {
      hint: 'omit it, or pass the adapter as the model',
    },
  );
}

/** The base for one of several models: only adapters have one. */
export const baseOf = (path: string, base: string | undefined): string | undefined =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true && isAdapterFolder(modelLocation(path))
    ? base
    : undefined;
