/**
 * The results of a step that is submitted as a whole: the host reads them once, after the update. Whether the update takes
 * effect is therefore decided on the device, by `checkStep`.
 */
import { plan, type Program } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Layout, Region } from '../engine/memory.ts';

export interface StepResults {
  /** float32 [microBatches·tokens + 2]: the losses of all tokens, the gradient norm, and whether updates are stopped (0 or 1). */
  readonly region: Region;
  /** Instruction i copies the losses of micro-batch i, the two after the last one check the step. */
  readonly program: Program;
}

/** Plans the program, once it is known where the losses of a micro-batch are. */
export type PlannedResults = (from: {
  readonly losses: number;
  readonly norm: Region;
  readonly hyper: Region;
}) => StepResults;

/**
 * Reserves memory for the results.
 *
 * @param step its micro-batches, and the tokens of each
 */
export function planStepResults(
  layout: Layout,
  { microBatches, tokens }: { readonly microBatches: number; readonly tokens: number },
): PlannedResults {
  const all = microBatches * tokens;
  const region = layout.allocate(all + 2);
  const sum = layout.allocate(1);
  const part = (start: number, length: number): Region => ({
    ...region,
    offset: region.offset + start,
    length,
  });
  return ({ losses, norm, hyper }) => {
    const tape = createTape();
    const value = (name: string, place: Region) => tape.external(name, [place.length], place);
    tape.scope('results', () => {
      const x = value('losses', { offset: losses, length: tokens, dtype: 'f32' });
      for (let i = 0; i < microBatches; i++)
        tape.emit('copy', { x, y: value(`losses ${i}`, part(i * tokens, tokens)), n: tokens });
      const lossSum = value('loss sum', sum);
      tape.emit('columnSums', { x: value('all losses', part(0, all)), sums: lossSum, M: all, N: 1 });
      const verdict = value('verdict', part(all, 2));
      tape.emit('checkStep', { lossSum, norm: value('norm', norm), hyper: value('hyper', hyper), verdict });
    });
    return { region, program: plan(tape.nodes, 0) };
  };
}
