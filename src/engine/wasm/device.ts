import type { Worker } from 'node:worker_threads';
import { optionName } from '../../messages.ts';
import type { Device, Loaded, NarrowNumbers, Numbers } from '../device.ts';
import type { Instruction } from '../instruction.ts';
import { EngineMemoryError } from '../engine-memory-error.ts';
import { loadBlas } from '../native/blas.ts';
import type { BlasLibrary } from '../native/blas-choice.ts';
import { loadMacroKernel } from '../native/load.ts';
import {
  CONTROL,
  engineStart,
  MAX_PAGES,
  PAGE,
  programsStart,
  THREAD_SCRATCH,
  SHARED_SCRATCH,
} from './address-space.ts';
import { startWorkers, type StartedWorkers, type WorkerSource } from './workers.ts';
import { instantiate, readModule, type Kernels } from './builds.ts';
import type { Rejection } from '../rejection.ts';
import { buildOf, type Variant } from './variants.ts';
import { encode } from './encode.ts';
import { DeviceMemory } from './memory.ts';
import { loadedProgram, placeProgram } from './program.ts';
import { Runner } from './runner.ts';

export interface WasmDeviceOptions {
  /** Number of active threads for the next run of a program; default: chosen by ActiveThreads. */
  readonly activeThreads?: () => number;
  /** Creates worker threads. */
  readonly workers?: WorkerSource;
  /** Measure the time of each instruction, see Loaded.timings; costs well under a microsecond per instruction. */
  readonly profile?: boolean;
}

/** Options of `WasmDevice.start`. */
interface Wanted {
  readonly variant: Variant;
  readonly rejected: readonly Rejection[];
  /** Including the main thread. */
  readonly threads: number;
  /** A library that may run GEMM; see `useBlas`. */
  readonly blas?: BlasLibrary | undefined;
}

const done = Promise.resolve();

/** One build of the kernels on one shared memory. Every command has completed when its call returns. */
export class WasmDevice implements Device {
  readonly threads: number;
  readonly shortfall: string | undefined;
  /** Faster builds that do not work here. */
  readonly rejected: readonly Rejection[];
  #variant: Variant;
  readonly #blas: BlasLibrary | undefined;
  #usesBlas = false;
  readonly #kernels: Kernels;
  readonly #wasm: WebAssembly.Memory;
  readonly #workers: readonly Worker[];
  readonly #memory: DeviceMemory;
  readonly #runner: Runner;
  readonly #profile: boolean;
  /** Byte addresses of the first program, the next program, and the device's memory. */
  readonly #programs: number;
  #programEnd: number;
  readonly #base: number;

  private constructor(
    { variant, rejected, threads, blas }: Wanted,
    wasm: { readonly kernels: Kernels; readonly memory: WebAssembly.Memory },
    { workers, shortfall }: StartedWorkers,
    { activeThreads, profile = false }: WasmDeviceOptions,
  ) {
    this.#variant = variant;
    this.#blas = blas;
    this.rejected = rejected;
    this.threads = workers.length + 1;
    this.shortfall = shortfall;
    this.#kernels = wasm.kernels;
    this.#wasm = wasm.memory;
    this.#workers = workers;
    this.#programs = this.#programEnd = programsStart(threads);
    this.#base = engineStart(threads);
    this.#memory = new DeviceMemory(wasm.memory, this.#base);
    this.#runner = new Runner(wasm.kernels, wasm.memory, this.threads, activeThreads);
    this.#profile = profile;
    if (variant === 'avx512') this.useNative(true);
  }

  /**
   * Compiles a build and starts its threads, as many as the system allows.
   *
   * @throws Error that says why this variant does not work here
   */
  static async start(wanted: Wanted, options: WasmDeviceOptions): Promise<WasmDevice> {
    const initial = engineStart(wanted.threads) / PAGE;
    const memory = new WebAssembly.Memory({ initial, maximum: MAX_PAGES, shared: true });
    const native = wanted.variant === 'avx512';
    const blas = wanted.blas?.path;
    const multiplyPanels = native ? loadMacroKernel(memory) : undefined;
    const multiplyByBlas = blas === undefined ? undefined : loadBlas(blas, memory);
    const module = readModule(buildOf(wanted.variant));
    const kernels = instantiate(module, memory, { multiplyPanels, multiplyByBlas });
    const data = { module, memory, native, blas };
    const started = await startWorkers(data, wanted.threads - 1, options.workers);
    return new WasmDevice(wanted, { kernels, memory }, started, options);
  }

  get variant(): Variant {
    return this.#variant;
  }

  /** Switches between `avx512` and the build it consists of; only on a device that was started as `avx512`. */
  useNative(on: boolean): void {
    new Int32Array(this.#wasm.buffer)[CONTROL.USE_NATIVE / 4] = on ? 1 : 0;
    this.#variant = on ? 'avx512' : buildOf('avx512');
  }

  /** Switches GEMM between the BLAS library and WebAssembly; only on a device that was started with one. */
  useBlas(on: boolean): void {
    new Int32Array(this.#wasm.buffer)[CONTROL.USE_BLAS / 4] = on ? 1 : 0;
    this.#usesBlas = on;
  }

  /** The library that runs GEMM. */
  get blas(): BlasLibrary | undefined {
    return this.#usesBlas ? this.#blas : undefined;
  }

  get name(): string {
    const blas = this.blas === undefined ? '' : ` with ${this.blas.name}`;
    return `wasm ${this.variant}${blas}, ${this.threads} thread${this.threads === 1 ? '' : 's'}`;
  }

  get activeThreads(): number {
    return this.#runner.active.fastest;
  }

  get size(): number {
    return this.#memory.size;
  }

  readonly firstNonFinite = (offset: number, length: number): number =>
    this.#kernels.firstNonFinite(this.#base + 4 * offset, length);

  reserve(elements: number): void {
    this.#memory.reserve(elements);
  }

  write(offset: number, numbers: Numbers | NarrowNumbers): void {
    this.#memory.write(offset, numbers);
  }

  fill(offset: number, length: number, value: number): void {
    this.#memory.fill(offset, length, value);
  }

  copy(from: number, to: number, length: number): void {
    this.#memory.copy(from, to, length);
  }

  read<T extends Numbers>(offset: number, into: T): Promise<T> {
    this.#memory.read(offset, into);
    return Promise.resolve(into);
  }

  load(program: readonly Instruction[]): Loaded {
    for (const instruction of program) checkScratch(this.#kernels, instruction);
    const encoded = encode(program, this.#programEnd, this.#base);
    const place = placeProgram(encoded, {
      start: this.#programEnd,
      threads: this.threads,
      profile: this.#profile,
    });
    if (place.end > this.#base) throw new Error('the programs do not fit their memory');
    new Int32Array(this.#wasm.buffer, place.start).set(encoded.words);
    this.#programEnd = Math.ceil(place.end / 4) * 4;
    return loadedProgram(program, encoded.starts, place, {
      runner: this.#runner,
      memory: this.#wasm,
      threads: this.threads,
    });
  }

  finish(): Promise<void> {
    return done;
  }

  clear(): void {
    this.#programEnd = this.#programs;
    this.#memory.fill(0, this.size, 0);
  }

  async close(): Promise<void> {
    this.#kernels.stop();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** Attention keeps a head in its thread's scratch memory. @throws EngineMemoryError if it does not fit */
function checkScratch(kernels: Kernels, { kernel, args, strand }: Instruction): void {
  if (kernel !== 'attention' && kernel !== 'attentionBackward') return;
  const { T, D } = args;
  const bytes = kernels.attentionScratch(T, D);
  const room = THREAD_SCRATCH - (strand === undefined ? 0 : SHARED_SCRATCH);
  if (bytes <= room) return;
  throw new EngineMemoryError(
    `attention over ${T} positions, with heads of ${D} channels, needs ${(bytes / 1e6).toFixed(1)} MB of scratch memory per thread; there are ${(room / 1e6).toFixed(1)} MB`,
    { hint: `use a smaller ${optionName('blockSize')}` },
  );
}
