import { assert, asyncProperty, boolean, constantFrom } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Instruction } from '../../src/engine/instruction.ts';
import { AWKWARD, gemmCase, kernelCases, type Fill, type KernelCase } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import type { KernelName } from '../../src/engine/signatures.ts';
import { compareKernel } from '../../src/engine/try-kernel.ts';
import { workgroupsFor } from '../../src/engine/webgpu/dispatch.ts';
import { dispatchesOf } from '../../src/engine/webgpu/kernels.ts';
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

/** Compares one case with the reference. */
async function agrees(kernel: KernelName, kernelCase: KernelCase, accumulate: boolean): Promise<void> {
  const gpu = await borrowGpu();
  const oracle = createReferenceBackend('float64');
  expect(await compareKernel([gpu, oracle], kernel, kernelCase, accumulate)).toBeUndefined();
}

/** Workgroups of each dispatch of a case, from which its tile and its slices follow. */
const workgroupsOf = (kernel: KernelName, args: KernelCase) =>
  dispatchesOf({ kernel, args, label: '' } as unknown as Instruction).map(({ workgroups }) =>
    typeof workgroups === 'number' ? workgroupsFor(workgroups) : workgroups,
  );

describe('a GEMM', () => {
  const flags = [0, 1] as const;

  test.each(flags)(
    'of a long K is summed in slices, with bias and accumulation; transB: %i',
    async (transB) => {
      const split = gemmCase([32, 33, 600], { hasBias: true, transA: 1 - transB, transB });
      expect(workgroupsOf('gemm', split)).toEqual([
        [2, 1, 2],
        [17, 1, 1],
      ]);
      await agrees('gemm', split, true);
      await agrees('gemm', split, false);
    },
  );

  test('of a gradient is summed in slices of the rows', async () => {
    const split = kernelCases.linearParametersBackward(600, 33, 32, false);
    expect(workgroupsOf('linearParametersBackward', split)[0]).toEqual([2, 1, 2]);
    await agrees('linearParametersBackward', split, true);
  });

  test.each([
    [64, 65, 1985],
    [128, 129, 3969],
  ])('of many tiles has tiles of %i, with edges', async (tile, M, N) => {
    for (const transB of tile === 64 ? flags : flags.slice(1)) {
      const tiled = gemmCase([M, N, 3], { hasBias: true, transA: transB, transB });
      expect(workgroupsOf('gemm', tiled)).toEqual([[Math.ceil(N / tile), Math.ceil(M / tile), 1]]);
      await agrees('gemm', tiled, transB === 1);
    }
  });

  test('that is symmetric mirrors tiles of 64', async () => {
    const tiled = kernelCases.gemmSymmetric(449, 1, 3, true);
    expect(workgroupsOf('gemmSymmetric', tiled)).toEqual([[8, 8, 1]]);
    await agrees('gemmSymmetric', tiled, false);
  });
});

describe('more workgroups than one dimension may have', () => {
  test('of elements', async () => {
    const n = 65_535 * 64 + 1;
    const values = Array.from({ length: n }, (_, i) => (i % 251) - 125);
    const fill: Fill = { kind: 'exact', length: n, values };
    const large = { a: fill, b: fill, y: fill, n };
    expect(workgroupsOf('add', large)).toEqual([[32_768, 2, 1]]);
    await agrees('add', large, true);
  });

  test('of rows, such as the tokens of a large vocabulary in decoding', async () => {
    const large = gemmCase([1, 65_537, 1], { transB: 1 });
    expect(workgroupsOf('gemm', large)).toEqual([[32_769, 2, 1]]);
    await agrees('gemm', large, false);
  });
});
