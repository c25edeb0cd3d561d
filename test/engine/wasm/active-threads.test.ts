import { expect, test } from 'vitest';
import { ActiveThreads, Pace } from '../../../src/engine/wasm/active-threads.ts';

/** What a run of a program takes with a number of threads, and how much of that the main thread sleeps; in seconds. */
type Machine = (threads: number) => { seconds: number; slept: number };

/** Runs one program for some seconds; returns the share of time that the best number of threads would have saved. */
function simulate(
  active: ActiveThreads,
  machine: Machine,
  seconds: number,
  best: number,
  pace = new Pace(),
): number {
  let clock = 0;
  let ideal = 0;
  while (clock < seconds) {
    const run = machine(active.count);
    active.record(pace, run.seconds, run.slept);
    clock += run.seconds;
    ideal += machine(best).seconds;
  }
  return 1 - ideal / clock;
}

/** Every thread has a core. */
const free: Machine = (threads) => ({ seconds: 0.001 / threads, slept: 0.00002 });
/** Beyond `cores` threads, each barrier waits for one that has no core. */
const taken =
  (cores: number, runSeconds = 0.001): Machine =>
  (threads) =>
    threads <= cores
      ? { seconds: runSeconds / threads, slept: 0 }
      : { seconds: 4 * runSeconds, slept: 3 * runSeconds };

test('all threads run while each has a core, without any trial', () => {
  const active = new ActiveThreads(2);
  expect(simulate(active, free, 10, 2)).toBe(0);
  expect(active.fastest).toBe(2);
});

test.each([
  ['decoding', 0.001],
  ['training steps of a second', 1],
])('one of two threads runs where another program occupies a core: %s', (_name, runSeconds) => {
  const active = new ActiveThreads(2);
  const machine = taken(1, runSeconds);
  const pace = new Pace();
  simulate(active, machine, 300 * runSeconds, 1, pace);
  expect(active.fastest).toBe(1);
  expect(simulate(active, machine, 1000 * runSeconds, 1, pace)).toBeLessThan(0.04); // what it costs to try two now and then
  expect(active.fastest).toBe(1);
});

test('both threads run again soon after the core is free', () => {
  const active = new ActiveThreads(2);
  const pace = new Pace();
  simulate(active, taken(1), 5, 1, pace);
  expect(active.fastest).toBe(1);
  simulate(active, free, 3, 2, pace);
  expect(active.fastest).toBe(2);
});

test('threads that wait but still save time stay active, and trials cost little', () => {
  const active = new ActiveThreads(2);
  const halfFree: Machine = (threads) => ({
    seconds: threads === 2 ? 0.0008 : 0.001,
    slept: threads === 2 ? 0.0003 : 0,
  });
  expect(simulate(active, halfFree, 20, 2)).toBeLessThan(0.02);
  expect(active.fastest).toBe(2);
});

test.each([15, 8, 3, 1])('of 16 threads about as many run as there are cores left: %i', (cores) => {
  const active = new ActiveThreads(16);
  simulate(active, taken(cores, 0.01), 20, cores);
  expect(active.fastest).toBeLessThanOrEqual(cores);
  expect(active.fastest).toBeGreaterThanOrEqual(cores * 0.75);
});

test('programs of different lengths are not mistaken for a change of speed', () => {
  const active = new ActiveThreads(2);
  const [long, short] = [new Pace(), new Pace()];
  for (let i = 0; i < 20_000; i++) {
    const isLong = i % 2000 < 100; // a prompt, then tokens
    const { seconds, slept } = taken(1)(active.count);
    active.record(isLong ? long : short, isLong ? 20 * seconds : seconds, slept);
  }
  expect(active.fastest).toBe(1);
});
