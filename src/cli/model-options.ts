/** What `sample` and `eval` share: which model, on how many threads. */
import type { Command, Option } from 'commander';
import { openModelFolder, type ModelFolder } from '../checkpoint/model-folder.ts';
import { newestRun } from '../checkpoint/runs.ts';
import { chooseBackend } from '../engine/backend.ts';
import type { Backend } from '../engine/instruction.ts';
import { MAX_THREADS, type Rejection } from '../engine/wasm.ts';
import { unkChoices } from '../generate/prompt.ts';
import { choice, filePath, option, orVariable, wholeNumber } from './options.ts';
import { printable, verbose, warn } from './terminal.ts';

export interface ModelFlags {
  readonly model?: string;
  readonly threads?: number;
}

export const addModelOptions = (command: Command): Command =>
  command
    .addOption(
      orVariable(
        option('-m, --model <folder>', 'default: the newest run under checkpoints/', filePath),
        'GPT_MODEL',
      ),
    )
    .addOption(threadsOption());

export const threadsOption = (): Option =>
  orVariable(
    option('--threads <n>', 'default: the cores of the machine', wholeNumber({ min: 1, max: MAX_THREADS })),
    'GPT_THREADS',
  );

export const unkOption = (whose = 'text'): Option =>
  option('--unk <what>', `${whose} the model lacks: error, skip or replace`, choice(unkChoices), 'error');

/** Opens the model and starts the engine. The caller closes the backend. */
export async function openModel({
  model,
  threads,
}: ModelFlags): Promise<{ folder: ModelFolder; backend: Backend }> {
  const folder = openModelFolder(model ?? newestRun());
  return { folder, backend: await startEngine(folder, threads) };
}

/** Starts the engine for a model that is open. The caller closes it. */
export async function startEngine({ folder }: ModelFolder, threads?: number): Promise<Backend> {
  const { backend, rejected } = await chooseBackend(threads === undefined ? {} : { threads });
  warnOfSlowEngine(backend.name, rejected);
  verbose(`model ${printable(folder)}, ${backend.name}`);
  return backend;
}

/** Says so if a slower engine has to do, and why. */
export function warnOfSlowEngine(name: string, rejected: readonly Rejection[]): void {
  for (const { variant, reason } of rejected)
    verbose(`engine '${variant}' does not work here: ${printable(reason)}`);
  if (name.startsWith('reference'))
    warn('no WebAssembly SIMD here: this will be some hundred times slower; --verbose says why');
}
