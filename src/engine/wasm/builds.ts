/** The builds of the kernels, and which of them this CPU and this Node run fast. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { BlasProduct } from '../native/blas.ts';
import type { MacroKernel } from '../native/load.ts';
import { MAX_PAGES } from './address-space.ts';
import type { Build } from './variants.ts';

/** Exports of a build: src/kernels/main.ts. */
export interface Kernels {
  run(from: number, to: number, threads: number, times: number, stride: number): void;
  lateness(): number;
  hasFailed(): number;
  stop(): void;
  work(thread: number): void;
  fail(): void;
  fusesMultiplyAdd(a: number, c: number): number;
  firstNonFinite(values: number, n: number): number;
  nativeLoaded(): void;
  blasLoaded(): void;
  /** Bytes of scratch memory that each thread needs for attention over T positions with heads of D channels. */
  attentionScratch(T: number, D: number): number;
}

const nodeMajor = Number(process.versions.node.split('.')[0]);

export const readModule = (build: Build): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(new URL(`../../../dist/kernels/${build}.wasm`, import.meta.url)));

/** Code outside WebAssembly that a thread has loaded. */
export interface LoadedCode {
  /** The macro-kernel in machine code. */
  readonly multiplyPanels?: MacroKernel | undefined;
  readonly multiplyByBlas?: BlasProduct | undefined;
}

export function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  { multiplyPanels, multiplyByBlas }: LoadedCode = {},
): Kernels {
  const host = {
    now: () => performance.now(),
    multiplyPanels: multiplyPanels ?? unavailable,
    multiplyByBlas: multiplyByBlas ?? unavailable,
  };
  const kernels = new WebAssembly.Instance(module, { env: { memory }, host }).exports as unknown as Kernels;
  if (multiplyPanels !== undefined) kernels.nativeLoaded();
  if (multiplyByBlas !== undefined) kernels.blasLoaded();
  return kernels;
}

const unavailable = (): never => {
  throw new Error('this thread has not loaded that code');
};

/** Sets a V8 switch for modules compiled from now on. Before Node 24 it makes them slower. */
export function enableRevectorization(): void {
  if (nodeMajor >= 24) setFlagsFromString('--experimental-wasm-revectorize');
}

/**
 * Why V8 cannot combine pairs of 128-bit operations into 256-bit ones here; undefined if it can. The build that relies on it
 * would still run, but run out of registers.
 */
export function whyNoWideVectors(): string | undefined {
  if (process.arch !== 'x64') return `it needs 256-bit vectors, which ${process.arch} does not have`;
  if (nodeMajor < 24) return `it needs Node 24 or newer; this is ${process.versions.node}`;
  const memory = new WebAssembly.Memory({ initial: 32, maximum: MAX_PAGES, shared: true });
  const kernels = instantiate(readModule('relaxed'), memory);
  if (!kernels.fusesMultiplyAdd(1 + 2 ** -12, -1 - 2 ** -11)) return 'it needs a CPU with AVX2 and FMA';
  return undefined;
}
