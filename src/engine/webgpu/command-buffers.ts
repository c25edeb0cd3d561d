/**
 * How a program is divided into command buffers. Systems reset a GPU that computes for seconds without finishing: Windows
 * after two seconds per command buffer.
 */
import { costOf } from '../cost.ts';
import type { Instruction } from '../instruction.ts';

/** Longest command buffer, in seconds, on a GPU as slow as this: FLOP and bytes per second. */
const SECONDS = 0.5;
const SLOW = { flops: 1e11, bytes: 1e10 };

/** Indices of the instructions at which a command buffer begins, after the first. An instruction that takes longer has its own. */
export function cutsOf(
  program: readonly Instruction[],
  secondsOf: (instruction: Instruction) => number = estimatedSeconds,
): number[] {
  const cuts: number[] = [];
  let seconds = 0;
  for (const [i, instruction] of program.entries()) {
    const own = secondsOf(instruction);
    if (i > 0 && seconds + own > SECONDS) {
      cuts.push(i);
      seconds = 0;
    }
    seconds += own;
  }
  return cuts;
}

function estimatedSeconds(instruction: Instruction): number {
  const { flops, bytes } = costOf(instruction);
  return flops / SLOW.flops + bytes / SLOW.bytes;
}

/** The command buffers of instructions `from` to `to` − 1, each as its first instruction and the one after its last. */
export function rangesBetween(from: number, to: number, cuts: readonly number[]): [number, number][] {
  const starts = [from, ...cuts.filter((cut) => from < cut && cut < to)];
  return starts.map((start, i) => [start, starts[i + 1] ?? to]);
}
