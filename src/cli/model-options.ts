/** Options shared by commands that read a model: the model itself, device, threads, BLAS, precision of the weights, `--unk`. */
import type { Command, Option } from 'commander';
import { type ModelFolder } from '../checkpoint/model-folder.ts';
import { openModelFolder } from '../checkpoint/open-model.ts';
import { newestRun, resolveRun } from '../checkpoint/runs.ts';
import { chooseBackend, openFaster } from '../engine/backend.ts';
import { deviceChoices, isDeviceUndecided, type DeviceChoice } from '../engine/device-choice.ts';
import { MAX_THREADS } from '../engine/wasm/address-space.ts';
import type { Device } from '../engine/device.ts';
import type { Rejection } from '../engine/rejection.ts';
import { generation } from '../measure/models.ts';
import { UsageError } from '../errors.ts';
import { unkChoices, type Unk } from '../generate/prompt.ts';
import { whileReporting } from './activity.ts';
import { option, orVariable } from './options.ts';
import { choice, filePath, wholeNumber, type OptionType } from '../values.ts';
import { parameterTable } from '../model/parameters.ts';
import { inQ8 } from '../model/q8-weights.ts';
import { notice, printable, verbose, warn } from './terminal.ts';

export interface ModelFlags {
  readonly model?: string;
  readonly base?: string | undefined;
  readonly threads?: number;
  readonly weights?: WeightsInMemory;
}

/** As they are stored in the file, or quantized. */
const weightsInMemory = ['stored', 'q8'] as const;
type WeightsInMemory = (typeof weightsInMemory)[number];

/** A model folder: a path, or the name of a run under checkpoints/. */
export const modelFolder: OptionType<string> = {
  ...filePath,
  expected: 'a model folder',
  read: (text) => (filePath.read(text) === undefined ? undefined : resolveRun(text)),
};

/** The given model, or the newest run, which is then named in a notice. */
export function chosenModel(named: string | undefined): string {
  if (named !== undefined) return named;
  const newest = newestRun();
  notice(`Using the newest run, ${printable(newest)}`);
  return newest;
}

export const addModelOptions = (command: Command): Command =>
  command
    .addOption(modelOption('model folder or name of a run; default: the newest under checkpoints/'))
    .addOption(baseOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addOption(blasOption())
    .addOption(weightsOption());

/** The frozen base model of an adapter. */
export const baseOption = (): Option =>
  option('--base <folder>', "an adapter's base model, if it has moved", modelFolder);

export const modelOption = (description: string): Option =>
  orVariable(option('-m, --model <folder>', description, modelFolder), 'GPT_MODEL');

/**
 * The model of a command that accepts it as an argument or, like other commands, as `--model`.
 *
 * @throws UsageError if both are given
 */
export function argumentOrModel(
  argument: string | undefined,
  { model }: ModelFlags,
  command: Command,
  hint = 'omit one of them',
): string | undefined {
  if (argument !== undefined && command.getOptionValueSource('model') === 'cli')
    throw new UsageError(
      'conflicting-options',
      `the model is given twice: ${argument} and --model ${model}`,
      { hint },
    );
  return argument ?? model;
}

export const threadsOption = (): Option =>
  orVariable(
    option(
      '--threads <n>',
      'maximum number of threads; default: one per core',
      wholeNumber({ min: 1, max: MAX_THREADS }),
    ),
    'GPT_THREADS',
  );

/**
 * @param choices without `auto` where there is no model to measure; GPT_DEVICE=auto then leaves the default
 * @param usual the default, for the help
 */
export const deviceOption = (choices: readonly DeviceChoice[] = deviceChoices, usual = 'cpu'): Option =>
  orVariable(
    option(
      '--device <name>',
      `cpu; webgpu: a GPU, through the npm package 'webgpu'${choices.includes('auto') ? '; auto: the faster of them' : ''}; default: ${usual}`,
      choice(choices),
    ),
    'GPT_DEVICE',
    deviceChoices.filter((name) => !choices.includes(name)),
  );

export const blasOption = (): Option =>
  orVariable(
    option(
      '--blas <library>',
      "BLAS library for GEMM: its path, auto for the system's if it is faster, or off; default: auto on a Mac, else off",
      { ...filePath, expected: 'auto, off or a path' },
    ),
    'GPT_BLAS',
  );

export const unkOption = (whose = 'text', initial: Unk = 'error'): Option =>
  option(
    '--unk <what>',
    `${whose} outside the vocabulary: error, skip or replace`,
    choice(unkChoices),
    initial,
  );

/** For commands that read a model but do not train it. */
export const weightsOption = (): Option =>
  option(
    '--weights <type>',
    'in memory: stored, as in the file; q8, 8 bits: less memory and time, slightly less accurate',
    choice(weightsInMemory),
    'stored',
  );

/** Opens the model and starts the engine. The caller closes the backend. */
export async function openModel({
  model,
  base,
  threads,
  weights,
}: ModelFlags): Promise<{ folder: ModelFolder; backend: Device }> {
  const opened = withLoadingShown(openModelFolder(chosenModel(model), { base }));
  const folder = weights === 'q8' ? quantized(opened) : opened;
  return { folder, backend: await startEngine(folder, threads) };
}

/** The model with its matrices in q8; a warning if none can be. */
function quantized(model: ModelFolder): ModelFolder {
  const storageOf = inQ8(model.storageOf);
  if (!parameterTable(model.config).some((parameter) => storageOf(parameter) === 'q8'))
    warn('--weights q8 has no effect on this model: no matrix has rows of a multiple of 32 numbers');
  return { ...model, storageOf };
}

/** Shows progress on a terminal while the model is loaded. */
const withLoadingShown = (folder: ModelFolder): ModelFolder => ({
  ...folder,
  load: (into, options) =>
    whileReporting((report) =>
      folder.load(into, { ...options, loaded: (done) => report('loading the model', done) }),
    ),
});

/** Starts the engine for an open model. The caller closes it. */
export async function startEngine(model: ModelFolder, threads?: number): Promise<Device> {
  const { folder } = model;
  const options = threads === undefined ? {} : { threads };
  const { backend, rejected } = isDeviceUndecided()
    ? await openFaster(options, generation(model, 0.5))
    : await chooseBackend(options);
  warnOfSlowEngine(backend, rejected);
  verbose(`model ${printable(folder)}, ${backend.name}`);
  return backend;
}

const unusedName = (what: Rejection['what']): string =>
  what === 'webgpu' ? 'the GPU' : what === 'cpu' ? 'the CPU' : `engine '${what}'`;

/** Reports why something that might be faster is not used (with --verbose), and why a requested precision is not (always). */
export function reportUnused(rejected: readonly Rejection[]): void {
  for (const { what, reason } of rejected)
    if (what === 'float16') warn(`the GPU computes matrix products in float32: ${printable(reason)}`);
    else verbose(`${unusedName(what)} is not used: ${printable(reason)}`);
}

/** Warns if the engine is slower than possible on this computer: a slower build, fewer threads, or the reference backend. */
export function warnOfSlowEngine(
  { name, shortfall }: Pick<Device, 'name' | 'shortfall'>,
  rejected: readonly Rejection[],
): void {
  reportUnused(rejected);
  if (shortfall !== undefined) warn(printable(shortfall));
  if (name.startsWith('reference'))
    warn('no WebAssembly engine works here: expect about 100 times slower; --verbose shows why');
}
