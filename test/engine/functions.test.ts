import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/engine/instruction.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { createWasmBackend, variants } from '../../src/engine/wasm.ts';

/** Distance of a float32 from the exact value, in units in the last place. */
function ulps(actual: number, exact: number): number {
  const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(exact))), -126) - 23);
  return Math.abs(actual - exact) / unit;
}

describe.each([...variants])('in the %s build', (variant) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await createWasmBackend({ threads: 1, variant });
  });
  afterAll(() => backend.close());

  /** eˣ as the kernels compute it: the gradient of a cross-entropy whose log-sum-exp is 0. */
  function exp(x: readonly number[]): Float32Array | Float64Array {
    const V = x.length + 1;
    const [logits, targets, lse, dLosses, dLogits] = [0, V, V + 16, V + 32, V + 48].map(
      (offset) => (offset + 15) & ~15,
    );
    backend.reserve(dLogits + V);
    backend.floats.set([0, ...x], logits);
    backend.ints[targets] = 0; // the column that gets something subtracted
    backend.floats[lse] = 0;
    backend.floats[dLosses] = 1;
    const args = {
      logits: { offset: logits, length: V },
      targets: { offset: targets, length: 1 },
      lse: { offset: lse, length: 1 },
      dLosses: { offset: dLosses, length: 1 },
      dLogits: { offset: dLogits, length: V },
      N: 1,
      V,
    };
    backend.load([{ kernel: 'crossEntropyBackward', label: '', args }]).run();
    return backend.floats.slice(dLogits + 1, dLogits + V);
  }

  test('exp is right to 2 units in the last place', () => {
    const x = Array.from({ length: 200_001 }, (_, i) => Math.fround(-87.3 + (175.6 * i) / 200_000));
    const y = exp(x);
    expect(
      Math.max(...Array.from(y, (value, i) => ulps(value, Math.exp(x[i]))).slice(0, 100_000)),
    ).toBeLessThan(2);
    expect(Math.max(...Array.from(y, (value, i) => ulps(value, Math.exp(x[i]))).slice(100_000))).toBeLessThan(
      2,
    );
  });

  test('exp of what is very small, very large or no number', () => {
    const [none, tiny, huge, most, one, nan] = exp([-Infinity, -88.1, Infinity, 1000, 0, NaN]);
    expect([none, tiny, one, nan]).toEqual([0, 0, 1, NaN]);
    expect(huge).toBe(most);
    expect(huge).toBeGreaterThan(2e38);
    expect(huge).toBeLessThan(Infinity);
  });

  test('ln is right to 2 units in the last place, where attention sums 1, 2, 3 … equal scores', () => {
    const T = 3000;
    backend.reserve(8 * T);
    backend.floats.fill(0, 0, 8 * T);
    const args = {
      q: { offset: 0, length: T },
      k: { offset: T, length: T },
      v: { offset: 2 * T, length: T },
      starts: null,
      rng: { offset: 0, length: 4 },
      out: { offset: 4 * T, length: T },
      lse: { offset: 6 * T, length: T },
      B: 1,
      T,
      H: 1,
      G: 1,
      D: 1,
      qStride: 1,
      kStride: 1,
      vStride: 1,
      site: 0,
      threshold: 0,
      scale: 1,
    };
    backend.load([{ kernel: 'attention', label: '', args }]).run();
    const worst = Math.max(
      ...Array.from(backend.floats.subarray(6 * T + 1, 7 * T), (value, i) => ulps(value, Math.log(i + 2))),
    );
    expect(backend.floats[6 * T]).toBe(0);
    expect(worst).toBeLessThan(2);
  });

  test('the exact GELU is right to 1e-6, relative, from −5 on, and to 2.5e-6 from −10 on', () => {
    const x = Array.from({ length: 40_001 }, (_, i) => Math.fround(-10 + i / 2000));
    const exact = exactGelu(createReferenceBackend('float64'), x);
    const errors = Array.from(exactGelu(backend, x), (y, i) => (x[i] === 0 ? y : Math.abs(y / exact[i] - 1)));
    expect(Math.max(...errors.filter((_, i) => x[i] >= -5))).toBeLessThan(1e-6);
    expect(Math.max(...errors)).toBeLessThan(2.5e-6);
  });
});

function exactGelu(backend: Backend, x: readonly number[]): Float32Array | Float64Array {
  const n = x.length;
  const y = (n + 15) & ~15;
  backend.reserve(y + n);
  backend.floats.set(x);
  const args = { x: { offset: 0, length: n }, y: { offset: y, length: n }, n };
  backend.load([{ kernel: 'geluErf', label: '', args }]).run();
  return backend.floats.slice(y, y + n);
}

test('the reference for the exact GELU agrees with x·erfc(−x/√2)/2, computed with 40 digits', () => {
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
  const y = exactGelu(
    createReferenceBackend('float64'),
    exact.map(([x]) => x),
  );
  for (const [i, [, value]] of exact.entries()) expect(Math.abs(y[i] / value - 1)).toBeLessThan(1e-12);
});
