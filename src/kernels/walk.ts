/**
 * Executes a program, a list of 32-bit words in shared memory. Every active thread walks all of it and computes its slice of
 * every instruction, with a barrier after each. Strands (engine/instruction.ts) are the exception: one thread runs each.
 */
import { barrier, measureWaiting, millisecondsWaited, nextChunk } from './barrier';
import { STRANDS, TIME_RECORD } from './generated/constants';
import { execute } from './generated/dispatch';
import { now } from './host';
import { freeScratch } from './scratch';
import { enterStrand, setThreads, thread, threads } from './threads';
import { forgetSleepSince, sleptSoFar } from './waiting';

/**
 * Runs the instructions between two addresses.
 *
 * @param times address of the first one's time record; 0: they are not timed
 */
export function walk(from: usize, to: usize, times: usize): void {
  for (let at = from; at < to;) {
    if (load<i32>(at) == STRANDS) {
      const end = endOf(at);
      if (threads > 1 && strandCount(at) >= threads && end <= to) {
        // Read before the barrier: after the last one, the main thread may have replaced the program.
        const timesAfter = times ? times + TIME_RECORD * instructionsBefore(at, strandCount(at)) : 0;
        walkStrands(at, times);
        times = timesAfter;
        at = end;
        continue;
      }
      at = addressIn(at, 0); // too few strands, or only some of them: all threads share every instruction
    }
    if (times) {
      at = stepTimed(at, times, 1);
      times += TIME_RECORD;
    } else at = step(at);
  }
}

/** Runs the instruction at an address; returns the address of the next one. @inline */
function step(at: usize): usize {
  freeScratch();
  const next = execute(at);
  barrier();
  return next;
}

/**
 * `step` while profiling: adds to the instruction's record its milliseconds, including the barrier after it, the part spent
 * waiting at barriers, and one run. Of the threads that share it, only thread 0 records time and run.
 *
 * @param concurrent instructions that run at the same time; each is charged that fraction of its time
 */
function stepTimed(at: usize, record: usize, concurrent: i32): usize {
  const start = now();
  measureWaiting(true);
  const next = step(at);
  if (thread == 0) {
    add(record, (now() - start) / concurrent);
    add(record + 16, 1);
  }
  add(record + 8, millisecondsWaited());
  measureWaiting(false);
  return next;
}

/** Runs the strands behind a header: threads claim them until none is left. All are complete when this returns. */
function walkStrands(header: usize, times: usize): void {
  const count = threads;
  const strands = strandCount(header);
  for (let i = nextChunk(0); i < strands; i = nextChunk(0)) {
    const end = addressIn(header, i + 1);
    let record = times ? times + TIME_RECORD * instructionsBefore(header, i) : 0;
    enterStrand();
    barrier(); // resets this thread's count of claimed chunks
    for (let at = addressIn(header, i); at < end;) {
      if (record) {
        at = stepTimed(at, record, count);
        record += TIME_RECORD;
      } else at = step(at);
    }
    setThreads(count);
  }
  const slept = sleptSoFar();
  if (times) waitTimed(times + TIME_RECORD * (instructionsBefore(header, strands) - 1), count);
  else barrier();
  forgetSleepSince(slept); // waiting for the last strand does not indicate a busy core
}

/** The barrier after strands, charged to their last instruction. */
function waitTimed(record: usize, count: i32): void {
  const start = now();
  barrier();
  const milliseconds = now() - start;
  add(record, milliseconds / count);
  add(record + 8, milliseconds);
}

/** @inline */
function add(at: usize, number: f64): void {
  store<f64>(at, load<f64>(at) + number);
}

/**
 * The header in front of strands: the word STRANDS, their number, and for each an entry of two words, the address of its first
 * instruction and the number of instructions before it. One more entry is the end of the last strand.
 * @inline
 */
function strandCount(header: usize): i32 {
  return load<i32>(header, 4);
}
/** @inline */
function addressIn(header: usize, entry: i32): usize {
  return usize(load<u32>(header + 8 * entry, 8));
}
/** @inline */
function instructionsBefore(header: usize, entry: i32): i32 {
  return load<i32>(header + 8 * entry, 12);
}
/** @inline */
function endOf(header: usize): usize {
  return addressIn(header, strandCount(header));
}
