import type { Instruction } from './instruction.ts';

/**
 * What runs programs: memory and kernels. Memory is one address space of 4-byte elements, each a float32 or an int32.
 *
 * Nobody outside holds a view of that memory; numbers are copied in and out. Commands take effect in the order in which they
 * are given, but possibly later, as in the queue of a GPU: `write`, `fill`, `copy` and `submit` return at once, `read` and
 * `finish` resolve when all commands before them are done. A command that fails throws, or else the next `read` or `finish`
 * rejects.
 */
export interface Device {
  /** For people: 'reference float64', 'wasm relaxed, 2 threads'. */
  readonly name: string;
  /** Threads that have started. */
  readonly threads: number;
  /** How many of them run programs at present: fewer while other programs take cores. */
  readonly activeThreads: number;
  /** Why fewer threads have started than were asked for; absent if all have. */
  readonly shortfall?: string | undefined;
  /** Elements of memory, at least as many as were reserved. */
  readonly size: number;

  /**
   * Makes memory at least this many elements long and keeps its contents; new elements are 0.
   *
   * @throws EngineMemoryError if there is not that much memory
   */
  reserve(elements: number): void;
  /** Copies numbers into memory from element `offset` on. The array may be changed as soon as this returns. */
  write(offset: number, numbers: Numbers): void;
  /** Sets floats to one value; 0 is the 0 of integers, too. */
  fill(offset: number, length: number, value: number): void;
  /** Copies `length` floats within memory; source and target may overlap. */
  copy(from: number, to: number, length: number): void;
  /** Copies memory from element `offset` on into an array, as many elements as it has, and resolves to the array. */
  read<T extends Numbers>(offset: number, into: T): Promise<T>;
  /**
   * The index, relative to `offset`, of the first NaN or infinity among `length` floats, or −1. Only on devices that can tell
   * at once, and faster than a loop on the host.
   */
  readonly firstNonFinite?: (offset: number, length: number) => number;
  load(program: readonly Instruction[]): Loaded;
  /** Resolves when all commands given so far are done. */
  finish(): Promise<void>;

  /** Unloads all programs and sets memory to 0. What was reserved stays reserved. */
  clear(): void;
  /** Ends the worker threads and gives resources back. */
  close(): Promise<void>;
}

/**
 * Numbers on their way in or out. An Int32Array holds integers, the others floats: a Float64Array is exact on the float64
 * reference, and converted from or to float32 on other devices.
 */
export type Numbers = Float32Array | Float64Array | Int32Array;

/** A program loaded by a device. */
export interface Loaded {
  /** Runs instructions `from` to `to` − 1; all of them by default. */
  submit(from?: number, to?: number): void;
  /** What each instruction has cost so far; absent unless the device was asked to measure it. */
  timings?(): Promise<readonly Timing[]>;
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
