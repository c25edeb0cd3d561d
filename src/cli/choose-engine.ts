/** Chooses the engine from --device (or, without it, the resumed run's), --blas, GPT_ENGINE and GPT_WEBGPU. */
import type { Command } from 'commander';
import type { BlasChoice } from '../engine/native/blas-choice.ts';
import { chooseDevice, deviceChoices, leaveDeviceToRun } from '../engine/device-choice.ts';
import { setWebGpuFolder } from '../engine/webgpu-package.ts';
import { cacheFolder, setTileFolder } from '../engine/webgpu/tile-cache.ts';
import { chooseBlas, forceVariant, variants } from '../engine/wasm.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { choice } from '../values.ts';
import { warn } from './terminal.ts';

/** @throws UsageError if GPT_ENGINE names no variant, UserError if there is no GPU where one is asked for */
export async function chooseEngine(
  command: Command,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const engine = environment['GPT_ENGINE'];
  if (engine) forceVariant(variantOf(engine));
  const { blas, device, resume } = command.opts<{
    blas?: string;
    device?: string;
    resume?: string | true;
  }>();
  if (blas !== undefined) chooseBlas(blasChoice(blas));
  setWebGpuFolder(environment['GPT_WEBGPU'] || undefined);
  setTileFolder(cacheFolder(environment));
  const chosen = deviceChoices.find((name) => name === device); // in `gpt plan`, --device may also name an accelerator
  if (chosen === 'webgpu') warnOfCpuOptions(command);
  if (chosen !== undefined) await chooseDevice(chosen);
  else if (device === undefined && resume !== undefined) await leaveDeviceToRun();
}

/** CPU options are ignored on a GPU. */
function warnOfCpuOptions(command: Command): void {
  for (const name of ['threads', 'blas'])
    if (command.getOptionValueSource(name) === 'cli') warn(`--${name} has no effect on a GPU`);
}

const variantOf = (name: string) => {
  const value = choice(variants);
  const variant = value.read(name);
  if (variant === undefined)
    throw new UsageError('bad-option-value', `GPT_ENGINE: ${shownJson(name)} is not ${value.expected}`);
  return variant;
};

const blasChoice = (text: string): BlasChoice => (text === 'auto' || text === 'off' ? text : { path: text });
