import { assert, boolean, constantFrom, asyncProperty } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import { AWKWARD, kernelCases } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import type { KernelName } from '../../src/engine/signatures.ts';
import { compareKernel, resultsOf, tryKernel } from '../../src/engine/try-kernel.ts';
import { createWasmBackend, builds } from '../../src/engine/wasm.ts';
import { inStrands } from '../fixtures/strands.ts';

const kernels = Object.keys(kernelCases) as KernelName[];
const size = constantFrom(...AWKWARD);
const smallSize = constantFrom(...AWKWARD.filter((n) => n <= 17));

describe.each([...builds])(
  'wasm %s agrees with the reference, on any shape, inside its buffers',
  (variant) => {
    let wasm: Device;
    beforeAll(async () => {
      wasm = await createWasmBackend({ threads: 2, variant });
    });
    afterAll(() => wasm.close());

    test.each(kernels)('%s', async (kernel) => {
      const oracle = createReferenceBackend('float64');
      await assert(
        asyncProperty(size, size, smallSize, boolean(), boolean(), async (a, b, c, flag, accumulate) => {
          const kernelCase = kernelCases[kernel](a, b, c, flag);
          expect(await compareKernel([wasm, oracle], kernel, kernelCase, accumulate)).toBeUndefined();
        }),
        { numRuns: 40, seed: 20261123 },
      );
    });
  },
);

describe('results are bit-identical on any number of threads, and in strands', () => {
  const backends: Device[] = [];
  beforeAll(async () => {
    for (const threads of [1, 2, 3, 7]) backends.push(await createWasmBackend({ threads }));
    for (const count of [2, 4])
      backends.push(inStrands(await createWasmBackend({ threads: count, activeThreads: () => count })));
  });
  afterAll(() => Promise.all(backends.map((backend) => backend.close())));

  test.each(kernels)('%s', async (kernel) => {
    await assert(
      asyncProperty(size, size, smallSize, boolean(), boolean(), async (a, b, c, flag, accumulate) => {
        const kernelCase = kernelCases[kernel](a, b, c, flag);
        const [one, ...more] = await Promise.all(
          backends.map((backend) => tryKernel(backend, kernel, kernelCase, accumulate)),
        );
        for (const other of more)
          for (const name of resultsOf(kernel)) expect(other[name]).toEqual(one[name]);
      }),
      { numRuns: 8, seed: 20261124 },
    );
  });
});
