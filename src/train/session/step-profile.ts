import { profileOf, type KernelProfile } from '../../engine/profile.ts';
import type { EventSink } from '../events.ts';
import type { Trainer } from '../trainer.ts';

/** Time of a run's steps, per kernel. */
export interface TrainProfile {
  readonly steps: number;
  readonly tokensPerStep: number;
  /** Wall time of all steps. */
  readonly seconds: number;
  readonly kernels: readonly KernelProfile[];
}

export interface StepProfile {
  readonly sink: EventSink;
  /** The profile so far; without kernels if the backend does not measure them. */
  readonly profile: () => Promise<TrainProfile>;
}

/** Sums the wall time of a run's steps. */
export function stepProfile(trainer: Trainer, tokensPerStep: number): StepProfile {
  let steps = 0;
  let seconds = 0;
  const sink: EventSink = (event) => {
    if (event.type !== 'step') return;
    steps++;
    seconds += event.seconds;
  };
  const profile = async (): Promise<TrainProfile> => ({
    steps,
    tokensPerStep,
    seconds,
    kernels: profileOf(await trainer.timings()),
  });
  return { sink, profile };
}
