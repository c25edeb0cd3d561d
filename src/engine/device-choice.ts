/** The device on which the programs of this process run. */
import { UserError } from '../errors.ts';
import { findAdapter } from './webgpu-package.ts';
import { bufferLimit } from './webgpu/limits.ts';

export const deviceChoices = ['auto', 'cpu', 'webgpu'] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

/** Memory limit of the GPU in bytes, while it is the chosen device. */
let gpuLimit: number | undefined;
let isUndecided = false;
/** The user's choice, which a decision for `auto` does not change. */
let asked: DeviceChoice | 'resumed' = 'cpu';
let notGpu: string | undefined;

/**
 * @param choice `auto` leaves the decision to `openFaster` (backend.ts), or chooses the CPU if there is no GPU
 * @throws UserError if a GPU is chosen and there is none that can be used
 */
export async function chooseDevice(choice: DeviceChoice): Promise<void> {
  asked = choice;
  await useDevice(choice);
}

/** As `chooseDevice`, where the choice was not the user's: a decision for `auto`, or the device of a resumed run. */
export async function useDevice(choice: DeviceChoice): Promise<void> {
  isUndecided = false;
  gpuLimit = undefined;
  notGpu = undefined;
  if (choice === 'cpu') return;
  try {
    const limit = bufferLimit((await findAdapter()).limits);
    if (choice === 'auto') isUndecided = true;
    else gpuLimit = limit;
  } catch (error) {
    if (choice !== 'auto' || !(error instanceof UserError)) throw error;
    notGpu = error.message;
  }
}

/** Chooses the CPU where a GPU would be possible. @param why for --verbose */
export async function chooseCpu(why: string): Promise<void> {
  await useDevice('cpu');
  notGpu = why;
}

/** A resumed run keeps its device, which is not known yet. Until then, programs run on the CPU. */
export async function leaveDeviceToRun(): Promise<void> {
  await chooseDevice('cpu');
  asked = 'resumed';
}

/** Whether a resumed run keeps its device: where none was named, and with `auto`. */
export const isDeviceLeftToRun = (): boolean => asked === 'resumed' || asked === 'auto';

/** Whether the user left the choice of the device to a measurement, which may be over. */
export const isAuto = (): boolean => asked === 'auto';

/** Whether programs may run on a GPU, or might if there were one: with `webgpu` and `auto`, and in a run that keeps its GPU. */
export const isGpuAllowed = (): boolean => asked === 'webgpu' || isAuto() || gpuLimit !== undefined;

/** Why `auto` is the CPU; undefined if it is not, or was measured. */
export const whyNotGpu = (): string | undefined => notGpu;

/** Whether the faster of CPU and GPU is still to be found. Until then, programs run on the CPU. */
export const isDeviceUndecided = (): boolean => isUndecided;

/** Bytes that a program may use on the chosen GPU; undefined while programs run on the CPU. */
export const gpuMemoryLimit = (): number | undefined => gpuLimit;
