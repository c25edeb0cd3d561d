import { assert, asyncProperty, boolean, constantFrom } from 'fast-check';
import { expect, test } from 'vitest';
import { AWKWARD, kernelCases } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import type { KernelName } from '../../src/engine/signatures.ts';
import { compareKernel } from '../../src/engine/try-kernel.ts';
import { borrowGpu } from './backends.ts';

const kernels = Object.keys(kernelCases) as KernelName[];
const size = constantFrom(...AWKWARD);
const smallSize = constantFrom(...AWKWARD.filter((n) => n <= 17));

test.each(kernels)('%s agrees with the reference, on any shape, inside its buffers', async (kernel) => {
  const gpu = await borrowGpu();
  const oracle = createReferenceBackend('float64');
  await assert(
    asyncProperty(size, size, smallSize, boolean(), boolean(), async (a, b, c, flag, accumulate) => {
      const kernelCase = kernelCases[kernel](a, b, c, flag);
      expect(await compareKernel([gpu, oracle], kernel, kernelCase, accumulate)).toBeUndefined();
    }),
    { numRuns: 8, seed: 20261129 },
  );
});
