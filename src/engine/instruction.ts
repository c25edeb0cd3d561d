import type { KernelArguments, KernelName } from './signatures.ts';

/**
 * A place in engine memory: `offset` and `length` in 4-byte elements (float32 or int32) from the start of memory.
 * `accumulate` is set on arguments of that role: add to what is there instead of overwriting it.
 */
export interface Buffer {
  readonly offset: number;
  readonly length: number;
  /** Set on a strided view: how many of the `length` elements belong to it. */
  readonly viewed?: number;
  readonly accumulate?: boolean;
}

/** One kernel call on fixed memory: what every backend runs. */
export type Instruction = {
  [K in KernelName]: {
    readonly kernel: K;
    readonly args: KernelArguments<K, Buffer>;
    readonly label: string;
  };
}[KernelName];

/** A program prepared by a backend. */
export interface Loaded {
  /** Runs instructions from … to − 1 (all of them by default). */
  run(from?: number, to?: number): void;
  /** What each instruction has taken so far; undefined where the backend was not asked to measure it. */
  timings?(): readonly Timing[];
}

/** What one instruction of a program has cost, summed over all runs. */
export interface Timing {
  readonly instruction: Instruction;
  readonly runs: number;
  /** Wall time, in seconds, until the last thread was done. */
  readonly seconds: number;
  /** The part of it that threads spent waiting for each other, as a mean over the threads, in seconds. */
  readonly waited: number;
}

/**
 * What runs programs: memory and kernels. Memory is one address space of 4-byte elements, seen as floats and as ints.
 * In the float64 reference the two views are separate arrays of equal length, so that an offset means the same everywhere.
 */
export interface Backend {
  /** For people: 'reference float64', 'wasm relaxed+revectorize, 2 threads'. */
  readonly name: string;
  /** Threads that have started. */
  readonly threads: number;
  /** How many of them run programs at present: fewer while other programs take cores. */
  readonly activeThreads: number;
  /** Why fewer threads have started than were asked for; absent if all have. */
  readonly shortfall?: string | undefined;
  /** Views of all of memory. Fetch them anew after `reserve`: growing memory replaces them. */
  readonly floats: Float32Array | Float64Array;
  readonly ints: Int32Array;
  /** Makes memory at least this many elements long, keeping what it holds. Throws EngineMemoryError if that is impossible. */
  reserve(elements: number): void;
  load(program: readonly Instruction[]): Loaded;
  /** Forgets the programs and sets all numbers to 0: as new, but that what was reserved stays so. */
  clear(): void;
  /** Ends the worker threads. */
  close(): Promise<void>;
}
