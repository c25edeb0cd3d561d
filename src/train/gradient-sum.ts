/** The gradient of a step, summed over its micro-batches in the order of ordered-sum.ts. */
import { plan, type Program } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Device, Loaded } from '../engine/device.ts';
import type { Layout, Region } from '../engine/memory.ts';
import { additionsAfter, mostPending, pendingBefore } from './ordered-sum.ts';
import type { Range } from './record-update.ts';

/** The program has three instructions for each partial sum and range. */
const INSTRUCTIONS = ['store', 'add to it', 'add it'] as const;

/**
 * Reserves memory for the pending partial sums, each as large as the gradients, and plans the additions.
 *
 * @param gradients where each micro-batch writes its gradient; holds the sum after the last one
 * @param terms maximum number of micro-batches in a step
 * @param ranges parts of the gradients that can be summed one by one
 */
export function planGradientSum(
  layout: Layout,
  gradients: Region,
  terms: number,
  ranges: readonly Range[],
): Program {
  const tape = createTape();
  const part = ({ offset }: Region, { start, end }: Range): Region => ({
    offset: offset + start,
    length: end - start,
    dtype: 'f32',
  });
  tape.scope('gradient sum', () => {
    for (let i = 0; i < mostPending(terms); i++) {
      const sums = layout.allocate(gradients.length);
      for (const range of ranges) {
        const n = range.end - range.start;
        const gradient = tape.external('gradients', [n], part(gradients, range));
        const partial = tape.external(`partial sum ${i}`, [n], part(sums, range));
        tape.emit('copy', { x: gradient, y: partial, n });
        tape.emit('add', { a: partial, b: gradient, y: partial, n });
        tape.emit('add', { a: partial, b: gradient, y: gradient, n });
      }
    }
  });
  return plan(tape.nodes, 0);
}

/** Sums gradients. An abandoned sum needs no cleanup: the first micro-batch of the next step starts over. */
export class GradientSum {
  readonly loaded: Loaded;
  readonly #ranges: number;

  /** @param ranges number of ranges in the program */
  constructor(device: Device, program: Program, ranges: number) {
    this.loaded = device.load(program.instructions);
    this.#ranges = ranges;
  }

  /**
   * Adds the gradient of micro-batch `index` of `terms`, which was computed last; after the last micro-batch, the sum is in
   * `gradients`.
   */
  add(index: number, terms: number): void {
    for (let range = 0; range < this.#ranges; range++) this.addRange(range, index, terms);
  }

  /** `add` of one range. */
  addRange(range: number, index: number, terms: number): void {
    const isLast = index + 1 === terms;
    const additions = additionsAfter(index, terms);
    let pending = pendingBefore(index);
    for (let done = 1; done <= additions; done++)
      this.#run(--pending, range, done === additions && !isLast ? 'add to it' : 'add it');
    if (additions === 0 && !isLast) this.#run(pending, range, 'store');
  }

  #run(partial: number, range: number, instruction: (typeof INSTRUCTIONS)[number]): void {
    const at = INSTRUCTIONS.length * (this.#ranges * partial + range) + INSTRUCTIONS.indexOf(instruction);
    this.loaded.submit(at, at + 1);
  }
}
