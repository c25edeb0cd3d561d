import type { Instruction } from './instruction.ts';

/**
 * A device runs programs: it has memory and kernels. Memory is one address space of 4-byte elements, each a float32 or int32,
 * or two 16-bit floats, which are only read.
 *
 * There are no views of the memory outside of the device; numbers are copied in and out. Commands take effect in the order
 * in which they are issued, but possibly later, as in the queue of a GPU: `write`, `fill`, `copy` and `submit` return at once,
 * `read` and `finish` resolve when all commands before them are done. A command that fails throws, or else the next `read` or
 * `finish` rejects.
 */
export interface Device {
  /** Display name: 'reference float64', 'wasm relaxed, 2 threads'. */
  readonly name: string;
  /** Number of threads started. */
  readonly threads: number;
  /** Number of threads that run programs at present: fewer while other programs occupy cores. */
  readonly activeThreads: number;
  /** Why fewer threads than requested were started; absent if all were. */
  readonly shortfall?: string | undefined;
  /** Commands take effect after the call that issues them: the host prepares the next ones meanwhile. */
  readonly isQueued?: boolean;
  /** Elements of memory, at least as many as were reserved. */
  readonly size: number;

  /**
   * Makes memory at least this many elements long and keeps its contents; new elements are 0.
   *
   * @throws EngineMemoryError if memory is insufficient
   */
  reserve(elements: number): void;
  /**
   * Copies numbers into memory from element `offset` on. The array may be reused as soon as this returns. A Uint16Array holds
   * the bits of a 16-bit type, two numbers to an element, a Uint8Array blocks of q8.
   */
  write(offset: number, numbers: Numbers | NarrowNumbers): void;
  /** Fills a range with a float; 0 also zeros integers. */
  fill(offset: number, length: number, value: number): void;
  /** Copies `length` floats within memory; source and target may overlap. */
  copy(from: number, to: number, length: number): void;
  /** Fills an array with the elements from `offset` on, and resolves to it. */
  read<T extends Numbers>(offset: number, into: T): Promise<T>;
  /**
   * The index, relative to `offset`, of the first NaN or infinity among `length` floats, or −1. Only on devices that
   * can answer synchronously and faster than a loop on the host.
   */
  readonly firstNonFinite?: (offset: number, length: number) => number;
  load(program: readonly Instruction[]): Loaded;
  /** Resolves when all commands issued so far have completed. */
  finish(): Promise<void>;

  /** Unloads all programs and zeros memory, which stays reserved. */
  clear(): void;
  /** Ends the worker threads and releases resources. */
  close(): Promise<void>;
}

/**
 * Arrays copied in or out. An Int32Array holds integers, the others floats: a Float64Array is exact on the float64
 * reference, and converted from or to float32 on other devices.
 */
export type Numbers = Floats | Int32Array;
/** Bits of a type that kernels only read. */
export type NarrowNumbers = Uint16Array | Uint8Array;
/** Float64Array only as the oracle of gradient checks. */
export type Floats = Float32Array | Float64Array;

/** A program loaded by a device. */
export interface Loaded {
  /** Runs instructions `from` to `to` − 1; all of them by default. */
  submit(from?: number, to?: number): void;
  /** Accumulated time of each instruction; absent unless the device profiles programs. */
  timings?(): Promise<readonly Timing[]>;
}

/** Time of one instruction of a program, summed over all runs. */
export interface Timing {
  readonly instruction: Instruction;
  readonly runs: number;
  /**
   * Wall time until the last thread finished, in seconds. In a strand, the thread's time divided by the number of threads; the wait
   * at the end of adjacent strands is added to their last instruction.
   */
  readonly seconds: number;
  /** The part spent waiting at the barrier, averaged over the threads, in seconds. */
  readonly waited: number;
}
