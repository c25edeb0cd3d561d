import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { createWasmBackend, builds } from '../../src/engine/wasm.ts';
import { runKernel, zeros, type Numbers } from '../fixtures/memory.ts';

/** Distance of a float32 from the exact value, in units in the last place. */
function ulps(actual: number, exact: number): number {
  const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(exact))), -126) - 23);
  return Math.abs(actual - exact) / unit;
}

describe.each([...builds])('in the %s build', (variant) => {
  let backend: Device;
  beforeAll(async () => {
    backend = await createWasmBackend({ threads: 1, variant });
  });
  afterAll(() => backend.close());

  /** eˣ as the kernels compute it: the gradient of a cross-entropy whose log-sum-exp is 0. */
  async function exp(x: readonly number[]): Promise<Numbers> {
    const V = x.length + 1;
    const logits = [0, ...x]; // 1 is subtracted in the target's column, the first
    const one = { targets: [0], lse: [0], dLosses: [1] };
    const { dLogits } = await runKernel(backend, 'crossEntropyBackward', {
      logits,
      ...one,
      dLogits: zeros(V),
      N: 1,
      V,
      smoothing: 0,
    });
    return dLogits.subarray(1);
  }

  test('exp is accurate to 2 ulps', async () => {
    const x = Array.from({ length: 200_001 }, (_, i) => Math.fround(-87.3 + (175.6 * i) / 200_000));
    const y = await exp(x);
    expect(
      Math.max(...Array.from(y, (value, i) => ulps(value, Math.exp(x[i]))).slice(0, 100_000)),
    ).toBeLessThan(2);
    expect(Math.max(...Array.from(y, (value, i) => ulps(value, Math.exp(x[i]))).slice(100_000))).toBeLessThan(
      2,
    );
  });

  test('exp of very small and large numbers, infinities and NaN is 0, the largest number, or NaN', async () => {
    const [none, tiny, huge, most, one, nan] = await exp([-Infinity, -88.1, Infinity, 1000, 0, NaN]);
    expect([none, tiny, one, nan]).toEqual([0, 0, 1, NaN]);
    expect(huge).toBe(most);
    expect(huge).toBeGreaterThan(2e38);
    expect(huge).toBeLessThan(Infinity);
  });

  test('ln is accurate to 2 ulps, where attention sums 1, 2, 3 … equal scores', async () => {
    const T = 3000;
    const equal = { q: zeros(T), k: zeros(T), v: zeros(T), starts: null, rng: zeros(4) };
    const shape = { B: 1, T, H: 1, G: 1, D: 1, qStride: 1, kStride: 1, vStride: 1 };
    const { lse } = await runKernel(backend, 'attention', {
      ...equal,
      out: zeros(T),
      lse: zeros(T),
      ...shape,
      site: 0,
      threshold: 0,
      scale: 1,
    });
    expect(lse[0]).toBe(0);
    expect(Math.max(...Array.from(lse.subarray(1), (x, i) => ulps(x, Math.log(i + 2))))).toBeLessThan(2);
  });

  test('the exact GELU has a relative error below 1e-6 above −5, and below 2.5e-6 above −10', async () => {
    const x = Array.from({ length: 40_001 }, (_, i) => Math.fround(-10 + i / 2000));
    const exact = await exactGelu(createReferenceBackend('float64'), x);
    const errors = Array.from(await exactGelu(backend, x), (y, i) =>
      x[i] === 0 ? y : Math.abs(y / exact[i] - 1),
    );
    expect(Math.max(...errors.filter((_, i) => x[i] >= -5))).toBeLessThan(1e-6);
    expect(Math.max(...errors)).toBeLessThan(2.5e-6);
  });
});

async function exactGelu(backend: Device, x: readonly number[]): Promise<Numbers> {
  return (await runKernel(backend, 'geluErf', { x, y: zeros(x.length), n: x.length })).y;
}

test('the reference for the exact GELU agrees with x·erfc(−x/√2)/2, computed with 40 digits', async () => {
  const exact = [
    [-10, -7.619853024160526e-23],
    [-8, -4.976768459417427e-15],
    [-5, -1.4332578593959695e-6],
    [-3, -0.0040496940948902835],
    [-2.96875, -0.004438485486193538],
    [-1, -0.15865525393145705],
    [-0.125, -0.056282721896235885],
    [0.125, 0.06871727810376412],
    [1, 0.8413447460685429],
    [2.96875, 2.9643115145138066],
    [3, 2.99595030590511],
    [8, 7.999999999999995],
  ] as const;
  const y = await exactGelu(
    createReferenceBackend('float64'),
    exact.map(([x]) => x),
  );
  for (const [i, [, value]] of exact.entries()) expect(Math.abs(y[i] / value - 1)).toBeLessThan(1e-12);
});
