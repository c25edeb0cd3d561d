import { isGpuAllowed } from '../engine/device-choice.ts';
import type { MatmulPrecision } from '../engine/matmul-precision.ts';
import { UsageError } from '../errors.ts';
import { optionValues } from '../messages.ts';

/**
 * Checks what was said in this invocation. A stored precision is not checked: a run of a GPU may be resumed on a CPU.
 *
 * @throws UsageError for a precision that the CPU does not have, unless a GPU may be used
 */
export function checkMatmulPrecision({
  matmulPrecision,
}: {
  readonly matmulPrecision?: MatmulPrecision | undefined;
}): void {
  if (matmulPrecision !== 'float16' || isGpuAllowed()) return;
  const [half, single] = [{ matmulPrecision }, { matmulPrecision: 'float32' }];
  throw new UsageError(
    'conflicting-options',
    `${optionValues(half)} needs a GPU: the CPU computes in float32`,
    { hint: `add ${optionValues({ device: 'webgpu' })}, or use ${optionValues(single)}` },
  );
}
