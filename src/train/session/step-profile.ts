import { profileOf, type KernelProfile } from '../../engine/profile.ts';
import type { EventSink } from '../events.ts';
import type { Trainer } from '../trainer.ts';

/** Where the time of a run's steps went. */
export interface TrainProfile {
  readonly steps: number;
  readonly tokensPerStep: number;
  /** Wall time of all steps. */
  readonly seconds: number;
  readonly kernels: readonly KernelProfile[];
}

export interface StepProfile {
  readonly sink: EventSink;
  /** Of the steps so far; without kernels if the backend does not measure them. */
  readonly profile: () => Promise<TrainProfile>;
}

/** Sums up the wall time of the steps of a run. */
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
