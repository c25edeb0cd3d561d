/**
 * Decides at start whether GEMM runs in machine code: only if it gives the bits of the WebAssembly kernels and is faster here.
 * Both are tried on one device, whose threads switch from one to the other.
 */
import { kernelCases } from '../kernel-cases.ts';
import { timedProduct } from '../timed-product.ts';
import { resultsOf, tryKernel } from '../try-kernel.ts';
import type { WasmDevice } from '../wasm/device.ts';

/** Shapes whose tiles and panels are cut off at each edge, in two blocks of k. */
const CHECKED = [
  [29, 71, 400],
  [71, 29, 13],
] as const;
/** Machine code is not worth less than this speed-up: nothing confines it to the engine's memory. */
const GAIN = 1.05;
/** Milliseconds without a shorter time after which V8's optimized code is taken to be in use. */
const SETTLED = 10;
const ROUNDS = 10;

/**
 * Why a device that was started as `avx512` should not use its machine code; undefined if it should. Overwrites its memory.
 *
 * @param mayBeSlower whether the speed does not matter
 */
export async function whyNotNative(
  device: WasmDevice,
  { mayBeSlower }: { mayBeSlower: boolean },
): Promise<string | undefined> {
  for (const [M, N, K] of CHECKED)
    if (!(await givesSameBits(device, M, N, K))) return 'gives other bits than WebAssembly here';
  if (mayBeSlower) return undefined;
  const { native, wasm } = measureBoth(device);
  if (GAIN * native <= wasm) return undefined;
  return `it is not much faster here: GEMM takes ${((100 * native) / wasm).toFixed(0)} % of WebAssembly's time`;
}

/** Compares a product with bias that is added to C. */
async function givesSameBits(device: WasmDevice, M: number, N: number, K: number): Promise<boolean> {
  const kernelCase = { ...kernelCases.gemm(M, N, K, true), transB: 1 };
  const results = [];
  for (const on of [true, false]) {
    device.useNative(on);
    results.push(await tryKernel(device, 'gemm', kernelCase, true));
  }
  device.useNative(true);
  const [native, wasm] = results;
  return resultsOf('gemm').every((name) => native[name].every((x, i) => Object.is(x, wasm[name][i])));
}

/** The shortest times of a product in cache, in milliseconds: disturbances can only make them longer. */
function measureBoth(device: WasmDevice): { native: number; wasm: number } {
  // Takes each thread about 0.2 ms.
  const loaded = device.load([timedProduct(device, 96, 256 * device.threads, 384, 0)]);
  const best = { native: Infinity, wasm: Infinity };
  const run = (kind: keyof typeof best): boolean => {
    device.useNative(kind === 'native');
    const start = performance.now();
    loaded.submit();
    const time = performance.now() - start;
    const isBetter = time < 0.95 * best[kind];
    best[kind] = Math.min(best[kind], time);
    return isBetter;
  };
  // V8 compiles the kernels anew in the background; until it has, they are many times slower.
  for (let settled = performance.now() + SETTLED; performance.now() < settled;)
    if (run('wasm')) settled = performance.now() + SETTLED;
  for (let round = 0; round < ROUNDS; round++) {
    run('native');
    run('wasm');
  }
  device.useNative(true);
  return best;
}
