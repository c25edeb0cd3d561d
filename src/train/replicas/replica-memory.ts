import type { Ranks, TrainingPrograms } from '../programs.ts';
import { IN_TRANSIT } from '../ranks/state-exchange.ts';
import { blocksOf } from './replica-state.ts';

/** Bytes outside the engine: the outer optimizer's slice, transfers and, on rank 0, the state of the others for a checkpoint. */
export function replicaBytes(programs: TrainingPrograms, { rank, size }: Ranks): number {
  const { trained } = programs.model.block;
  const outer = 2 * Math.ceil(trained / size);
  const state = blocksOf(programs, true).reduce((sum, { region }) => sum + region.length, 0);
  const gathered = rank === 0 ? 2 * trained + (size - 1) * state : 0;
  return 4 * (outer + IN_TRANSIT + gathered);
}
