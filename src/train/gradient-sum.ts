/** The gradient of a step, summed over its micro-batches in the order of ordered-sum.ts. */
import { plan, type Program } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Device, Loaded } from '../engine/device.ts';
import type { Layout, Region } from '../engine/memory.ts';
import { additionsAfter, mostPending, pendingBefore } from './ordered-sum.ts';

/** The program has three instructions for each partial sum. */
const INSTRUCTIONS = ['store', 'add to it', 'add it'] as const;

/**
 * Reserves memory for the pending partial sums, each as large as the gradients, and plans the additions.
 *
 * @param gradients where each micro-batch writes its gradient; holds the sum after the last one
 * @param terms maximum number of micro-batches in a step
 */
export function planGradientSum(layout: Layout, gradients: Region, terms: number): Program {
  const n = gradients.length;
  const tape = createTape();
  const gradient = tape.external('gradients', [n], gradients);
  tape.scope('gradient sum', () => {
    for (let i = 0; i < mostPending(terms); i++) {
      const partial = tape.external(`partial sum ${i}`, [n], layout.allocate(n));
      tape.emit('copy', { x: gradient, y: partial, n });
      tape.emit('add', { a: partial, b: gradient, y: partial, n });
      tape.emit('add', { a: partial, b: gradient, y: gradient, n });
    }
  });
  return plan(tape.nodes, 0);
}

/** Sums gradients. An abandoned sum needs no cleanup: the first micro-batch of the next step starts over. */
export class GradientSum {
  readonly loaded: Loaded;

  constructor(device: Device, program: Program) {
    this.loaded = device.load(program.instructions);
  }

  /**
   * Adds the gradient of micro-batch `index` of `terms`, which was computed last; after the last micro-batch, the sum is in
   * `gradients`.
   */
  add(index: number, terms: number): void {
    const isLast = index + 1 === terms;
    const additions = additionsAfter(index, terms);
    let pending = pendingBefore(index);
    for (let done = 1; done <= additions; done++)
      this.#run(--pending, done === additions && !isLast ? 'add to it' : 'add it');
    if (additions === 0 && !isLast) this.#run(pending, 'store');
  }

  #run(partial: number, instruction: (typeof INSTRUCTIONS)[number]): void {
    const at = INSTRUCTIONS.length * partial + INSTRUCTIONS.indexOf(instruction);
    this.loaded.submit(at, at + 1);
  }
}
