/** Runs encoded programs on the engine's threads, as many of them as ActiveThreads finds fastest. */
import { isAscii } from 'node:buffer';
import { availableParallelism } from 'node:os';
import { ActiveThreads, type Pace } from '../active-threads.ts';
import { CONTROL, PAGE } from '../address-space.ts';
import type { Kernels } from './builds.ts';

export class Runner {
  readonly active: ActiveThreads;
  readonly #kernels: Kernels;
  readonly #threads: number;
  readonly #setSpins: (threads: number) => void;
  readonly #chosen: (() => number) | undefined;

  /**
   * @param threads that have started
   * @param chosen how many of them take part in the next run; default: as ActiveThreads decides
   */
  constructor(kernels: Kernels, memory: WebAssembly.Memory, threads: number, chosen?: () => number) {
    this.#kernels = kernels;
    this.#threads = threads;
    this.#chosen = chosen;
    this.#setSpins = spinsOf(memory);
    this.active = new ActiveThreads(threads);
  }

  /**
   * Runs the instructions between two addresses.
   *
   * @param times where the first of them accumulates its timings, 0: nowhere
   * @param stride bytes between the timings of two threads
   * @param pace the recent speed of these instructions
   */
  run(
    from: number,
    to: number,
    { times, stride, pace }: { times: number; stride: number; pace: Pace },
  ): void {
    const count = this.#chosen?.() ?? this.active.count;
    this.#setSpins(count);
    const start = this.#threads > 1 ? performance.now() : 0;
    this.#call(from, to, count, times, stride);
    leaveWideVectors();
    if (this.#threads > 1)
      this.active.record(pace, (performance.now() - start) / 1000, this.#kernels.lateness() / 1000);
  }

  /** @throws Error if a kernel traps, in this thread or in a worker, for which the others would wait at the next barrier */
  #call(...job: Parameters<Kernels['run']>): void {
    try {
      this.#kernels.run(...job);
    } catch (cause) {
      throw this.#kernels.hasFailed() ? new Error('a kernel failed in a worker thread', { cause }) : cause;
    }
  }
}

/**
 * Sets the spin-wait iterations for a number of threads: about 0.1 ms, longer than the main thread takes between two
 * programs, for example to sample a token. More threads than cores would keep each other from running by spinning: they sleep
 * at once.
 */
function spinsOf(memory: WebAssembly.Memory): (threads: number) => void {
  const words = new Int32Array(memory.buffer, 0, PAGE / 4);
  const cores = availableParallelism();
  return (threads) => {
    const spins = threads <= cores ? 100_000 : 0;
    // Written only when it changes: a write takes the cache line from the threads that read it at every barrier.
    if (words[CONTROL.SPINS / 4] !== spins) words[CONTROL.SPINS / 4] = spins;
  };
}

const someBytes = new Uint8Array(64);

/**
 * V8's 256-bit operations leave the upper halves of vector registers in use, and from then on every SSE instruction of
 * compiled C++, such as those of Math.exp, waits for the one before it: the exponentials of 65 logits took 10 µs instead of
 * 0.5. AVX code from a compiler ends with VZEROUPPER, and simdutf, which answers Node's isAscii, is such code; the call takes
 * 30 ns.
 */
const leaveWideVectors = (): void => void isAscii(someBytes);
