import { Pace } from './active-threads.ts';
import { TIME_RECORD } from './address-space.ts';
import type { Loaded, Timing } from '../device.ts';
import type { Instruction } from '../instruction.ts';
import type { EncodedProgram } from './encode.ts';
import type { Runner } from './runner.ts';

/** Addresses of a program in WebAssembly memory, in bytes. */
export interface ProgramPlace {
  readonly start: number;
  /** Address of its timings; 0 if it is not profiled. */
  readonly times: number;
  readonly end: number;
}

/** Lays out a program's words from `start`, followed by its timings. */
export function placeProgram(
  { words, starts }: EncodedProgram,
  { start, threads, profile }: { start: number; threads: number; profile: boolean },
): ProgramPlace {
  const instructions = starts.length - 1;
  const wordsEnd = start + 4 * words.length;
  if (!profile) return { start, times: 0, end: wordsEnd };
  const times = Math.ceil(wordsEnd / 8) * 8;
  return { start, times, end: times + TIME_RECORD * instructions * threads };
}

/** A program whose words are in memory. */
export function loadedProgram(
  program: readonly Instruction[],
  starts: readonly number[],
  { start, times }: ProgramPlace,
  { runner, memory, threads }: { runner: Runner; memory: WebAssembly.Memory; threads: number },
): Loaded {
  const stride = TIME_RECORD * program.length;
  const paces = new Paces(program.length);
  const submit: Loaded['submit'] = (from = 0, to = program.length) => {
    if (from === to) return; // without a barrier, a worker could still be reading this job when the next one is published
    runner.run(start + 4 * starts[from], start + 4 * starts[to], {
      times: times === 0 ? 0 : times + TIME_RECORD * from,
      stride,
      pace: paces.of(from, to),
    });
  };
  if (times === 0) return { submit };
  new Float64Array(memory.buffer, times, 3 * program.length * threads).fill(0); // earlier programs may have been here
  return { submit, timings: () => Promise.resolve(readTimings(memory, program, times, threads)) };
}

/** Recent speed of a program as a whole, and of each range of instructions that has been run separately. */
class Paces {
  readonly #length: number;
  readonly #whole = new Pace();
  readonly #ranges = new Map<number, Pace>();

  constructor(length: number) {
    this.#length = length;
  }

  of(from: number, to: number): Pace {
    if (from === 0 && to === this.#length) return this.#whole;
    const key = from * (this.#length + 1) + to;
    let pace = this.#ranges.get(key);
    if (pace === undefined) this.#ranges.set(key, (pace = new Pace()));
    return pace;
  }
}

function readTimings(
  memory: WebAssembly.Memory,
  program: readonly Instruction[],
  at: number,
  threads: number,
): Timing[] {
  const times = new Float64Array(memory.buffer, at, 3 * program.length * threads);
  return program.map((instruction, i) => {
    const [milliseconds, waited, runs] = [0, 1, 2].map((field) => {
      let sum = 0;
      for (let thread = 0; thread < threads; thread++)
        sum += times[3 * (thread * program.length + i) + field];
      return sum;
    });
    return { instruction, runs, seconds: milliseconds / 1000, waited: waited / threads / 1000 };
  });
}
