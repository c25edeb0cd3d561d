/**
 * Decides at startup whether GEMM leaves WebAssembly. Machine code must be bit-identical to the WebAssembly kernels and faster on
 * this computer; a BLAS library must agree with the reference and, unless it was asked for by name, be faster. Both are tried
 * on one device, whose threads switch between them.
 */
import { gemmCase } from '../kernel-cases.ts';
import { timedProduct } from '../timed-product.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { checkDevice, resultsOf, tryKernel } from '../try-kernel.ts';
import type { WasmDevice } from '../wasm/device.ts';

/** Shapes with partial tiles and panels at every edge, and two blocks of k. */
const CHECKED = [
  [29, 71, 400],
  [71, 29, 13],
] as const;
/** Minimum speed-up: machine code, unlike WebAssembly, is not confined to the engine's memory, so it has to pay off. */
const GAIN = 1.15;
/** After this many milliseconds without a clearly lower minimum, V8's optimized code is assumed to be in use. */
const SETTLED = 10;
const CLEARLY = 0.95;
/** Minimum number of turns of each. */
const ROUNDS = 10;

/**
 * Why a device that was started as `avx512` should not use its machine code; undefined if it should. Overwrites its memory.
 *
 * @param mayBeSlower accept machine code that is not faster
 */
export async function whyNotNative(
  device: WasmDevice,
  { mayBeSlower }: { mayBeSlower: boolean },
): Promise<string | undefined> {
  for (const [M, N, K] of CHECKED)
    if (!(await givesSameBits(device, M, N, K))) return 'is not bit-identical to WebAssembly here';
  if (mayBeSlower) return undefined;
  // About 0.2 ms per thread.
  return whyNotFaster(device, [96, 256 * device.threads, 384], (on) => device.useNative(on));
}

/**
 * Why a device should not let a BLAS library compute products; undefined if it should. Overwrites its memory.
 *
 * @param mayBeSlower accept a library that is not faster
 */
export async function whyNotBlas(
  device: WasmDevice,
  { mayBeSlower }: { mayBeSlower: boolean },
): Promise<string | undefined> {
  device.useBlas(true);
  const wrong = await checkDevice(device, createReferenceBackend('float32'));
  if (wrong !== undefined) return `gives wrong results here: ${wrong}`;
  if (mayBeSlower) return undefined;
  return whyNotFaster(device, [768, 384, 384], (on) => device.useBlas(on));
}

/** Why code outside WebAssembly does not pay off for products of a shape (M, N, K); undefined if it does. It is on afterwards. */
function whyNotFaster(
  device: WasmDevice,
  shape: readonly [number, number, number],
  useOther: (on: boolean) => void,
): string | undefined {
  const { other, wasm } = measureBoth(device, shape, useOther);
  if (GAIN * other <= wasm) return undefined;
  return `it is not much faster here: GEMM takes ${((100 * other) / wasm).toFixed(0)} % of WebAssembly's time`;
}

/** Compares a GEMM with bias, accumulated into C. */
async function givesSameBits(device: WasmDevice, M: number, N: number, K: number): Promise<boolean> {
  const kernelCase = gemmCase([M, N, K], { hasBias: true, transA: (M + K) & 1, transB: 1 });
  const results = [];
  for (const on of [true, false]) {
    device.useNative(on);
    results.push(await tryKernel(device, 'gemm', kernelCase, true));
  }
  device.useNative(true);
  const [native, wasm] = results;
  return resultsOf('gemm').every((name) => native[name].every((x, i) => Object.is(x, wasm[name][i])));
}

/** The minimum times of a GEMM in cache, in milliseconds: noise can only lengthen them. */
function measureBoth(
  device: WasmDevice,
  [M, N, K]: readonly [number, number, number],
  useOther: (on: boolean) => void,
): { other: number; wasm: number } {
  const loaded = device.load([timedProduct(device, M, N, K, 0)]);
  const best = { other: Infinity, wasm: Infinity };
  const run = (kind: keyof typeof best): boolean => {
    useOther(kind === 'other');
    const start = performance.now();
    loaded.submit();
    const time = performance.now() - start;
    const isBetter = time < CLEARLY * best[kind];
    best[kind] = Math.min(best[kind], time);
    return isBetter;
  };
  // V8 optimizes the kernels in the background; until then they are many times slower. The two take turns from the start:
  // while the operating system runs two threads on one core, for some milliseconds, both are slower.
  let settledAt = 0;
  for (let round = 0; round < ROUNDS || performance.now() < settledAt; round++) {
    const isBetter = [run('other'), run('wasm')].includes(true);
    if (isBetter) settledAt = performance.now() + SETTLED;
  }
  useOther(true);
  return best;
}
