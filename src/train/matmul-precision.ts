import { isGpuAllowed } from '../engine/device-choice.ts';
import type { MatmulPrecision } from '../engine/matmul-precision.ts';
import { UsageError } from '../errors.ts';
import { optionValues } from '../messages.ts';
import type { Caution } from './cautions.ts';

/**
 * Checks the precision given to this invocation. A stored one is not checked: a GPU run may be resumed on a CPU.
 *
 * @throws UsageError for a precision that the CPU does not have, unless a GPU may be used
 */
export function checkMatmulPrecision({
  matmulPrecision,
}: {
  readonly matmulPrecision?: MatmulPrecision | undefined;
}): void {
  if (matmulPrecision !== 'float16' || isGpuAllowed()) return;
  throw new UsageError(
    'conflicting-options',
    `${optionValues({ matmulPrecision })} needs a GPU: the CPU computes in float32`,
    {
      hint: `add ${optionValues({ device: 'webgpu' })}, or use ${optionValues({ matmulPrecision: 'float32' })}`,
    },
  );
}

/** A forecast may be for another computer, so it does not reject the precision. */
export const cautionsAboutPrecision = ({
  matmulPrecision,
}: {
  readonly matmulPrecision?: MatmulPrecision | undefined;
}): Caution[] =>
  matmulPrecision !== 'float16' || isGpuAllowed()
    ? []
    : [{ option: 'matmulPrecision', why: 'is for GPUs: the CPU is measured in float32' }];
