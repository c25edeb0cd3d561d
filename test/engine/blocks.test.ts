import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import { documentStarts, gemmCase, kernelCases, type Fill } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import type { KernelName } from '../../src/engine/signatures.ts';
import { firstDifference, resultsOf, tryKernel, type KernelResults } from '../../src/engine/try-kernel.ts';
import { createWasmBackend, builds } from '../../src/engine/wasm.ts';

/** [M, N, K] that need every loop of src/kernels/gemm/gemm.ts more than once, with rests in each. */
const products = [
  [17, 1030, 390], // by columns: two blocks of k
  [250, 515, 400], // several blocks of rows
  [260, 140, 770], // by rows
  [261, 141, 391],
  [40, 7, 800],
  [24, 20, 36_000], // more blocks of k than are packed together
] as const;

/** [T, D] with several strips of queries and several blocks of keys in src/kernels/attention/. */
const attentions = [
  [64, 32],
  [130, 20],
  [201, 7],
  [140, 64],
] as const;

/** Document starts of B rows of T positions: at edges of tiles of 16 and 64 positions, in each row other ones. */
function startsAtEdges(B: number, T: number): Fill {
  const edges = [
    [16, 64, 128],
    [15, 63, 65, 129],
  ];
  const values = Array.from({ length: B * T }, (_, i) => {
    const t = i % T;
    return edges[Math.floor(i / T) % 2].findLast((edge) => edge <= t) ?? 0;
  });
  return { kind: 'exact', length: values.length, values };
}

/** `toEqual` takes seconds for a million numbers. */
const bitsOf = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

type Case = ReturnType<(typeof kernelCases)['gemm']>;
const oracle = createReferenceBackend('float64');
const known = new Map<string, { kernelCase: Case; expected: KernelResults }>();

/** What the float64 reference computes: once for all builds, as it takes longer than all of them. */
async function expectedOf(kernel: KernelName, kernelCase: Case, accumulate: boolean) {
  const key = JSON.stringify([kernel, kernelCase, accumulate]);
  const found = known.get(key) ?? {
    kernelCase, // with its random numbers, which the other builds get as well
    expected: await tryKernel(oracle, kernel, kernelCase, accumulate),
  };
  known.set(key, found);
  return found;
}

describe.each([...builds])('%s: shapes that span several blocks', (variant) => {
  const backends: Device[] = [];
  beforeAll(async () => {
    for (const threads of [1, 3])
      backends.push(await createWasmBackend({ threads, variant, activeThreads: () => threads }));
  });
  afterAll(() => Promise.all(backends.map((backend) => backend.close())));

  async function check(
    kernel: 'gemm' | 'linearParametersBackward' | 'layerNormBackward' | 'attention' | 'attentionBackward',
    made: Case,
    accumulate: boolean,
  ): Promise<void> {
    const { kernelCase, expected } = await expectedOf(kernel, made, accumulate);
    const [one, ...more] = await Promise.all(
      backends.map((backend) => tryKernel(backend, kernel, kernelCase, accumulate)),
    );
    expect(firstDifference(kernel, one, expected)).toBeUndefined();
    for (const other of more)
      for (const name of resultsOf(kernel)) expect(bitsOf(other[name]).equals(bitsOf(one[name]))).toBe(true);
  }

  test.each(products)('gemm %i×%i×%i', async (M, N, K) => {
    // both ways to pack each operand, over all shapes
    for (const transA of [0, 1]) {
      const transB = (M + transA) & 1;
      await check('gemm', gemmCase([M, N, K], { hasBias: transA === 1, transA, transB }), transB === 1);
    }
  });

  // On three threads, all but the last are divided by blocks of k (src/kernels/gemm/split-k.ts).
  test.each([
    [51, 33, 1536], // four blocks
    [33, 52, 1202], // the last block is smaller
    [7, 301, 1540], // op(A) is packed whole; several chunks of op(B)
    [150, 20, 2311], // seven blocks
    [5, 4, 1542], // a single chunk
    [4, 4, 768], // fewer blocks than threads
  ])('gemm Aᵀ·B with long sums: %i×%i×%i', async (M, N, K) => {
    const made = gemmCase([M, N, K], { transA: 1, isFloat32: true });
    for (const accumulate of [false, true]) await check('gemm', made, accumulate);
  });

  test('partial sums of a long sum that just fit in the scratch memory', async () => {
    const made = gemmCase([250, 260, 10_302], { transA: 1, isFloat32: true });
    const [one, three] = await Promise.all(backends.map((backend) => tryKernel(backend, 'gemm', made, true)));
    expect(bitsOf(three['c']).equals(bitsOf(one['c']))).toBe(true);
  });

  test('many threads: GEMV with a matrix larger than the caches, and long sums', async () => {
    const hasMany = variant === builds[0]; // each thread takes long to start
    if (hasMany) backends.push(await createWasmBackend({ threads: 17, variant, activeThreads: () => 17 }));
    for (const [M, N, K] of [
      [1, 1030, 300],
      [3, 2050, 130],
      [1, 40_000, 7],
    ])
      await check('gemm', gemmCase([M, N, K], { hasBias: M === 1 }), M === 3);
    const long = gemmCase([20, 41, 6530], { transA: 1, isFloat32: true }); // 18 blocks of k
    await check('gemm', long, true);
    if (hasMany) await backends.pop()!.close();
  });

  test.each([
    [800, 140, 60], // by columns: three blocks of k
    [800, 60, 140], // by rows
    [385, 19, 17],
    [1, 2050, 2049], // more columns of x, or of dY, than are packed together
    [1, 2049, 2050],
  ])('linearParametersBackward: %i rows, %i columns of dY, %i of x', async (M, N, K) => {
    for (const accumulate of M === 1 ? [true] : [false, true])
      await check(
        'linearParametersBackward',
        kernelCases.linearParametersBackward(M, N, K, false),
        accumulate,
      );
  });

  test.each([
    [1000, 50], // three stretches of rows
    [60, 1027],
  ])('layerNormBackward %i×%i', async (N, C) => {
    for (const accumulate of [false, true])
      await check('layerNormBackward', kernelCases.layerNormBackward(N, C, 0, false), accumulate);
  });

  describe.each(attentions)('attention over %i positions, in heads of %i', (T, D) => {
    test.each([
      ['one document', () => null],
      ['documents', (B: number) => documentStarts(B, T)],
      ['documents that end at edges of tiles, and beside them', (B: number) => startsAtEdges(B, T)],
    ])('of %s', async (_what, startsOf) => {
      for (const flag of [false, true])
        for (const kernel of ['attention', 'attentionBackward'] as const) {
          const kernelCase = kernelCases[kernel](T, D, 5, flag); // 2 rows, 3 key/value heads
          await check(kernel, { ...kernelCase, starts: startsOf(Number(kernelCase.B)) }, flag);
        }
    });
  });
});
