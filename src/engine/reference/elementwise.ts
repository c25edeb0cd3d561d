/** Kernels that compute each element by itself. Formulas: the ops of the same names in autodiff/ops/. */
import { philox4x32 } from '../philox.ts';
import { put, type ReferenceArguments } from './view.ts';

export function add({ a, b, y, n }: ReferenceArguments<'add'>): void {
  for (let i = 0; i < n; i++) y[i] = a[i] + b[i];
}

export function copy({ x, y, n }: ReferenceArguments<'copy'>): void {
  for (let i = 0; i < n; i++) put(y, i, x[i]);
}

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

export function gelu({ x, y, n }: ReferenceArguments<'gelu'>): void {
  for (let i = 0; i < n; i++) {
    const u = SQRT_2_OVER_PI * (x[i] + CUBIC * x[i] ** 3);
    y[i] = 0.5 * x[i] * (1 + Math.tanh(u));
  }
}

export function geluBackward({ x, dY, dX, n }: ReferenceArguments<'geluBackward'>): void {
  for (let i = 0; i < n; i++) {
    const tanh = Math.tanh(SQRT_2_OVER_PI * (x[i] + CUBIC * x[i] ** 3));
    const dU = SQRT_2_OVER_PI * (1 + 3 * CUBIC * x[i] ** 2);
    put(dX, i, dY[i] * (0.5 * (1 + tanh) + 0.5 * x[i] * (1 - tanh * tanh) * dU));
  }
}

export function relu({ x, y, n }: ReferenceArguments<'relu'>): void {
  for (let i = 0; i < n; i++) y[i] = Math.max(x[i], 0);
}

export function reluBackward({ x, dY, dX, n }: ReferenceArguments<'reluBackward'>): void {
  for (let i = 0; i < n; i++) put(dX, i, x[i] > 0 ? dY[i] : 0);
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export function swiglu({ gate, up, y, n }: ReferenceArguments<'swiglu'>): void {
  for (let i = 0; i < n; i++) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

export function swigluBackward({ gate, up, dY, dGate, dUp, n }: ReferenceArguments<'swigluBackward'>): void {
  for (let i = 0; i < n; i++) {
    const d = dY[i]; // dUp may be written over it
    const s = sigmoid(gate[i]);
    put(dGate, i, d * up[i] * s * (1 + gate[i] * (1 - s)));
    put(dUp, i, d * gate[i] * s);
  }
}

/**
 * The random 32-bit words of one dropout in one micro-batch: an element is kept if its word is at least the threshold. Philox
 * yields four words per counter, which are cached.
 *
 * @param rng two words of the key, two of the counter: seed, step and micro-batch
 */
export function maskWords(rng: Int32Array, site: number): (index: number) => number {
  const words = new Uint32Array(4);
  let drawn = -1;
  return (index) => {
    const block = Math.floor(index / 4);
    if (block !== drawn) {
      philox4x32([block | 0, site, rng[2], rng[3]], [rng[0], rng[1]], words);
      drawn = block;
    }
    return words[index % 4];
  };
}

export function dropout({ x, rng, y, n, site, threshold, scale }: ReferenceArguments<'dropout'>): void {
  const word = maskWords(rng, site);
  for (let i = 0; i < n; i++) put(y, i, word(i) >= threshold >>> 0 ? x[i] * scale : 0);
}
