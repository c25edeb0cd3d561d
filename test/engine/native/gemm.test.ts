import { assert, asyncProperty, boolean, constantFrom } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AWKWARD, gemmCase, kernelCases } from '../../../src/engine/kernel-cases.ts';
import type { Device } from '../../../src/engine/device.ts';
import { resultsOf, tryKernel } from '../../../src/engine/try-kernel.ts';
import { createWasmBackend, type WasmBackend } from '../../../src/engine/wasm.ts';
import { whyNoMachineCode } from '../../fixtures/machine-code.ts';
import { inStrands } from '../../fixtures/strands.ts';

const bitsOf = ({ buffer, byteOffset, byteLength }: Float64Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

type Kernel = 'gemm' | 'linearParametersBackward';
const kernels: readonly Kernel[] = ['gemm', 'linearParametersBackward'];

// tryKernel surrounds every buffer with guards and throws if one has changed.
describe.skipIf(whyNoMachineCode() !== undefined)(
  'GEMM in machine code gives the bits of WebAssembly',
  () => {
    let wasm: WasmBackend;
    const natives: Device[] = [];
    beforeAll(async () => {
      wasm = await createWasmBackend({ threads: 1, variant: 'revectorize' });
      for (const threads of [1, 2, 3, 5])
        natives.push(await createWasmBackend({ threads, variant: 'avx512', activeThreads: () => threads }));
      const activeThreads = () => 4; // each with an argument block of its own
      natives.push(inStrands(await createWasmBackend({ threads: 4, variant: 'avx512', activeThreads })));
    });
    afterAll(() => Promise.all([wasm, ...natives].map((backend) => backend.close())));

    async function compare(kernel: Kernel, kernelCase: object, accumulate: boolean): Promise<void> {
      const made = kernelCase as ReturnType<(typeof kernelCases)[Kernel]>;
      const expected = await tryKernel(wasm, kernel, made, accumulate);
      for (const native of natives) {
        const actual = await tryKernel(native, kernel, made, accumulate);
        for (const name of resultsOf(kernel))
          expect(bitsOf(actual[name]).equals(bitsOf(expected[name])), `${native.name}: ${name}`).toBe(true);
      }
    }

    test.each(kernels)('%s, of any small shape', async (kernel) => {
      const size = constantFrom(...AWKWARD);
      await assert(
        asyncProperty(size, size, size, boolean(), boolean(), (a, b, c, flag, accumulate) =>
          compare(kernel, kernelCases[kernel](a, b, c, flag), accumulate),
        ),
        { numRuns: 60, seed: 20261128 },
      );
    });

    // every number of rows and columns that a tile of 12×32 can be cut off at
    test('gemm, with all remainders of rows and columns', async () => {
      for (let rest = 1; rest <= 32; rest++) {
        const shape = [12 + (rest % 12), 32 + rest, 9] as const;
        const made = gemmCase(shape, { hasBias: rest % 3 === 0, transB: rest & 1 });
        await compare('gemm', made, rest % 2 === 0);
      }
    });

    test.each([
      [17, 1030, 390], // by columns: two blocks of k
      [250, 515, 400], // several blocks of rows
      [261, 141, 770], // by rows: three blocks of k
      [24, 20, 36_000], // more blocks of k than are packed together
      [2100, 40, 33], // more rows than are packed together
    ])('gemm %i×%i×%i, transposed and not', async (M, N, K) => {
      for (const [transA, transB] of [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ])
        await compare('gemm', gemmCase([M, N, K], { hasBias: transA === 1, transA, transB }), transB === 1);
    });

    test('gemm Aᵀ·B with sums that are divided among the threads', async () => {
      const made = gemmCase([51, 33, 1920], { transA: 1, isFloat32: true }); // five blocks of k
      for (const accumulate of [false, true]) await compare('gemm', made, accumulate);
    });

    test.each([
      [800, 140, 60],
      [385, 19, 17],
    ])('linearParametersBackward: %i rows, %i columns of dY, %i of x', async (M, N, K) => {
      for (const accumulate of [false, true])
        await compare(
          'linearParametersBackward',
          kernelCases.linearParametersBackward(M, N, K, false),
          accumulate,
        );
    });
  },
);
