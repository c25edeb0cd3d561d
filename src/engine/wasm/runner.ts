/** Runs encoded programs on as many threads as ActiveThreads finds fastest. */
import { isAscii } from 'node:buffer';
import { availableParallelism } from 'node:os';
import { ActiveThreads, type Pace } from './active-threads.ts';
import { CONTROL, PAGE } from './address-space.ts';
import type { Kernels } from './builds.ts';
import { readFailure } from './failure.ts';

export class Runner {
  readonly active: ActiveThreads;
  /** What a kernel has failed with. The threads are no longer at the same barrier, so nothing can run after it. */
  #failure: unknown;
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #threads: number;
  readonly #setSpins: (threads: number) => void;
  readonly #chosen: (() => number) | undefined;

  /**
   * @param threads number of threads started
   * @param chosen number of active threads for the next run; default: chosen by ActiveThreads
   */
  constructor(kernels: Kernels, memory: WebAssembly.Memory, threads: number, chosen?: () => number) {
    this.#kernels = kernels;
    this.#memory = memory;
    this.#threads = threads;
    this.#chosen = chosen;
    this.#setSpins = spinsOf(memory);
    this.active = new ActiveThreads(threads);
  }

  /**
   * Runs the instructions between two addresses.
   *
   * @param times address of the first instruction's timings; 0: none
   * @param stride bytes between the timings of two threads
   * @param pace recent speed of these instructions
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

  /** @throws Error if a kernel traps in any thread, since the others would wait for it at the next barrier */
  #call(...job: Parameters<Kernels['run']>): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      this.#kernels.run(...job);
    } catch (error) {
      this.#failure = this.#kernels.hasFailed() ? readFailure(this.#memory) : error;
      this.#kernels.fail(); // ends workers that wait for this thread
      throw this.#failure;
    }
  }
}

/**
 * Sets the spin-wait iterations for a number of threads: about 0.1 ms, longer than the main thread takes between two
 * programs, for example to sample a token. With more threads than cores, spinning would only delay the others: threads sleep
 * at once.
 */
function spinsOf(memory: WebAssembly.Memory): (threads: number) => void {
  const words = new Int32Array(memory.buffer, 0, PAGE / 4);
  const cores = availableParallelism();
  return (threads) => {
    const spins = threads <= cores ? 100_000 : 0;
    // Written only when it changes, since a write invalidates a cache line that all threads read at every barrier.
    if (words[CONTROL.SPINS / 4] !== spins) words[CONTROL.SPINS / 4] = spins;
  };
}

const someBytes = new Uint8Array(64);

/**
 * Clears the upper halves of the vector registers. V8's 256-bit operations leave them dirty, which makes every later SSE
 * instruction of compiled C++, such as Math.exp, depend on the previous one: the exponentials of 65 logits took 10 µs instead
 * of 0.5. Compiled AVX code ends with VZEROUPPER; Node's isAscii calls such code (simdutf) and takes 30 ns.
 */
const leaveWideVectors = (): void => void isAscii(someBytes);
