/** What `sample` and `eval` share: which model, on how many threads. */
import type { Command } from 'commander';
import { openModelFolder, type ModelFolder } from '../checkpoint/model-folder.ts';
import { newestRun } from '../checkpoint/runs.ts';
import { createWasmBackend, MAX_THREADS, type WasmBackend } from '../engine/wasm.ts';
import { filePath, option, wholeNumber } from './options.ts';
import { printable, verbose } from './terminal.ts';

export interface ModelFlags {
  readonly model?: string;
  readonly threads?: number;
}

export const addModelOptions = (command: Command): Command =>
  command
    .addOption(option('-m, --model <folder>', 'default: the newest run under checkpoints/', filePath))
    .addOption(
      option('--threads <n>', 'default: the cores of the machine', wholeNumber({ min: 1, max: MAX_THREADS })),
    );

/** Opens the model and starts the engine. The caller closes the backend. */
export async function openModel({
  model,
  threads,
}: ModelFlags): Promise<{ folder: ModelFolder; backend: WasmBackend }> {
  const folder = openModelFolder(model ?? newestRun());
  const backend = await createWasmBackend(threads === undefined ? {} : { threads });
  verbose(`model ${printable(folder.folder)}, ${backend.name}`);
  return { folder, backend };
}
