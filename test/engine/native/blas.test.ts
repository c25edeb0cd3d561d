/** Products by a BLAS library. In the process of the test, a product in JavaScript takes its place. */
import { assert, asyncProperty, boolean, constantFrom } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { productFields } from '../../../src/engine/native/argument-block.ts';
import { librariesFor } from '../../../src/engine/native/blas-choice.ts';
import { AWKWARD, gemmCase, kernelCases, type KernelCase } from '../../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../../src/engine/reference/backend.ts';
import { compareKernel } from '../../../src/engine/try-kernel.ts';
import { blasBlock } from '../../../src/engine/wasm/address-space.ts';
import { createWasmBackend, type WasmBackend } from '../../../src/engine/wasm.ts';
import { failure } from '../../fixtures/failure.ts';

const calls: Record<string, number>[] = [];

/** C (+)= op(A)·op(B) as the argument block of a thread says, in the order of k. */
const multiply = (memory: WebAssembly.Memory) => (thread: number) => {
  const words = new Uint32Array(memory.buffer, blasBlock(thread));
  const block = Object.fromEntries(Object.keys(productFields).map((name, i) => [name, words[i]]));
  const { a, b, c, rows, columns, k, strideA, strideB, strideC, transA, transB, accumulate } = block;
  calls.push(block);
  const numbers = new Float32Array(memory.buffer);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++)
        sum +=
          numbers[a / 4 + (transA ? p * strideA + i : i * strideA + p)] *
          numbers[b / 4 + (transB ? j * strideB + p : p * strideB + j)];
      const at = c / 4 + i * strideC + j;
      numbers[at] = accumulate ? numbers[at] + sum : sum;
    }
};

vi.mock(import('../../../src/engine/native/blas.ts'), async (original) => ({
  ...(await original()),
  openBlas: (path) => ({ path, name: 'JavaScript' }),
  loadBlas: (_path, memory) => multiply(memory),
}));

const reference = createReferenceBackend('float32');
let device: WasmBackend;
beforeAll(async () => {
  device = await createWasmBackend({ threads: 1, variant: 'relaxed', blas: { path: 'here' } });
});
afterAll(() => device.close());

/** Compares with the reference; the guards around each buffer are checked, too. */
const agrees = async (
  kernel: 'gemm' | 'gemmSymmetric' | 'linearParametersBackward',
  kernelCase: KernelCase,
  accumulate = false,
) => {
  expect(await compareKernel([device, reference], kernel, kernelCase, accumulate)).toBeUndefined();
};

describe('a device with a BLAS library', () => {
  test('is named after it, and can do without it', () => {
    expect(device.name).toBe('wasm relaxed with JavaScript, 1 thread');
    device.useBlas(false);
    expect(device.name).toBe('wasm relaxed, 1 thread');
    device.useBlas(true);
  });

  test.each(['gemm', 'gemmSymmetric', 'linearParametersBackward'] as const)(
    '%s agrees with the reference for any shape',
    async (kernel) => {
      const size = constantFrom(...AWKWARD);
      calls.length = 0;
      await assert(
        asyncProperty(size, size, size, boolean(), boolean(), (a, b, c, flag, accumulate) =>
          agrees(kernel, kernelCases[kernel](a, b, c, flag), accumulate),
        ),
        { numRuns: 60, seed: 20261129 },
      );
      expect(calls.length).toBeGreaterThan(10);
    },
  );

  test.each([
    [200, 70, 30],
    [70, 200, 30],
    [1200, 9, 7],
  ])('gemm %i×%i×%i, transposed and not, in parts', async (M, N, K) => {
    for (const [transA, transB] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]) {
      calls.length = 0;
      const made = gemmCase([M, N, K], { hasBias: transA === 1, transA, transB, isFloat32: true });
      await agrees('gemm', made, transB === 1);
      expect(calls.length).toBe(M === 1200 ? 10 : 4); // of 128 and 64
    }
  });

  test('a symmetric product computes the blocks up to the diagonal', async () => {
    calls.length = 0;
    await agrees('gemmSymmetric', kernelCases.gemmSymmetric(200, 200, 40, false));
    expect(calls.map(({ rows, columns }) => [rows, columns])).toEqual([
      [64, 64],
      [64, 128],
      [64, 192],
      [8, 200],
    ]);
  });

  test('leaves few rows, and weights of 16 bits, to WebAssembly', async () => {
    calls.length = 0;
    await agrees('gemm', gemmCase([2, 50, 40], { isFloat32: true }));
    const b = { kind: 'normal', length: 2000, storage: 'bf16' } as const;
    await agrees('gemm', { ...gemmCase([60, 50, 40]), b });
    expect(calls).toEqual([]);
  });
});

describe('the choice of a library', () => {
  test('off tries none, auto those of the system, a path that one', () => {
    expect(librariesFor('off')).toEqual([]);
    expect(librariesFor({ path: '/opt/blas.so' })).toEqual(['/opt/blas.so']);
    expect(librariesFor('auto', 'darwin')).toEqual([expect.stringContaining('Accelerate')]);
    expect(librariesFor('auto', 'linux')).toContain('libopenblas.so.0');
    expect(librariesFor('auto', 'aix')).toEqual([]);
  });
});

describe('a library that cannot be used', () => {
  /** What the real code says of a path. */
  const opening = async (path: string) => {
    const { openBlas } = await vi.importActual<typeof import('../../../src/engine/native/blas.ts')>(
      '../../../src/engine/native/blas.ts',
    );
    return () => openBlas(path);
  };

  test.runIf(process.platform === 'linux')('is refused, with the reason', async () => {
    expect(await opening('/etc/passwd')).toThrow(/passwd/);
    expect(await opening('/no/such/library.so')).toThrow(/no\/such/);
    const machineCode = new URL('../../../dist/kernels/avx512.so', import.meta.url).pathname;
    expect(await opening(machineCode)).toThrow(/no cblas_sgemm/);
  });

  test('with wrong results, is an error if it was named', async () => {
    const wrong = vi.spyOn(await import('../../../src/engine/native/trial.ts'), 'whyNotBlas');
    wrong.mockResolvedValueOnce('gives wrong results here: gemm');
    await expect(
      createWasmBackend({ threads: 1, variant: 'relaxed', blas: { path: 'here' } }),
    ).rejects.toThrow(failure('engine-unavailable', 'here', 'wrong results'));
  });
});
