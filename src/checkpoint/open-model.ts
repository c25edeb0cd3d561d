import { statSync } from 'node:fs';
import { openAdapter, type AdapterOpening } from './adapter-folder.ts';
import { isAdapterFolder, modelLocation } from './checkpoint-folders.ts';
import { openWholeModel, type ModelFolder } from './model-folder.ts';

/**
 * Opens a model: a folder with all of it, or an adapter, whose base is opened too.
 *
 * @throws UserError naming the file that is missing, damaged, or inconsistent with the others
 */
export function openModelFolder(path: string, opening: AdapterOpening = {}): ModelFolder {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? modelLocation(path) : path;
  return isFolder && isAdapterFolder(folder)
    ? openAdapter(folder, opening)
    : openWholeModel(folder, opening.file);
}
