/** Failures of a GPU as errors for the user. */
import { UserError } from '../../errors.ts';
import { optionValues } from '../../messages.ts';
import { EngineMemoryError } from '../engine-memory-error.ts';
import type { GpuError } from './gpu.ts';

/** The option to run without a GPU. */
export const onCpu = optionValues({ device: 'cpu' });

/** The first line: drivers add pages of detail. */
const firstLine = (text: string): string => text.trim().split('\n', 1)[0];

/** An error that WebGPU reports some time after the call that caused it. */
export function failureOf(error: GpuError): Error {
  if (error.constructor.name === 'GPUOutOfMemoryError')
    return new EngineMemoryError('the GPU does not have enough free memory', {
      hint: `use a smaller model or batch, close other programs that use the GPU, or use ${onCpu}`,
      cause: error,
    });
  return new UserError('device-failed', `the GPU refused a command: ${firstLine(error.message)}`, {
    hint: `this is an error in gpt or in the GPU driver: please report it; ${onCpu} avoids the GPU`,
    cause: error,
  });
}

/** The GPU was reset or removed, or its driver crashed. */
export const lostDevice = (message: string): UserError =>
  new UserError('device-failed', `the GPU was lost: ${firstLine(message) || 'no reason was given'}`, {
    hint: `the last checkpoint is intact: resume from it, with ${onCpu} if this happens again`,
  });

/** WebGPU rejected the request for an adapter or a device. @throws UserError */
export function refusedToOpen(error: unknown): never {
  const reason = firstLine(error instanceof Error ? error.message : String(error));
  throw new UserError(
    'engine-unavailable',
    `WebGPU cannot open the GPU: ${reason || 'no reason was given'}`,
    {
      hint: `update its driver, close other programs that use it, or use ${onCpu}`,
      cause: error,
    },
  );
}
