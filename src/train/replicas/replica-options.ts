/** The number of replicas, which is an option of a run: each has a state of its own. */
import { UsageError } from '../../errors.ts';
import type { Settings, TrainModelOptions } from '../settings.ts';
import type { ReplicaOptions } from './replicated-work.ts';

/** @returns undefined if all ranks train one model */
export const replicaOptions = ({
  syncEvery,
  outerLr,
  outerMomentum,
}: Settings): ReplicaOptions | undefined =>
  syncEvery === undefined ? undefined : { syncEvery, learningRate: outerLr, momentum: outerMomentum };

/** The options of a run with `syncEvery` have the number of its replicas; a new run has one for each rank. */
export const withReplicas = (options: TrainModelOptions, ranks: number): TrainModelOptions =>
  options.syncEvery === undefined ? options : { replicas: ranks, ...options };

/** @throws UsageError if a run with replicas is resumed by another number of ranks */
export function checkReplicas({ replicas }: Pick<Settings, 'replicas'>, ranks: number): void {
  if (replicas === undefined || replicas === ranks) return;
  const started = ranks === 1 ? 'one process was' : `${ranks} ranks were`;
  throw new UsageError(
    'conflicting-options',
    `this run has ${replicas === 1 ? 'one replica' : `${replicas} replicas`}, but ${started} started`,
    { hint: replicas === 1 ? 'start it without mpirun' : `start it with mpirun -n ${replicas}` },
  );
}
