/** Commands from rank 0 to the other ranks. Rank 0 alone reads options and text, decides and saves; the others compute. */
import type { Batch, DocumentRows } from '../../data/batches.ts';
import type { MatmulPrecision } from '../../engine/matmul-precision.ts';
import type { Storage } from '../../engine/signatures.ts';
import type { TrainingShape } from '../programs.ts';
import type { ReplicaCommand } from '../replicas/commands.ts';
import type { OuterOptions } from '../replicas/outer-step.ts';
import type { Evaluated } from '../step-work.ts';
import type { TrainerOptions } from '../trainer.ts';
import type { GradientDtype } from './gradient-format.ts';

/** The model of a run, as every rank plans it. */
export interface SetUp {
  readonly shape: Omit<TrainingShape, 'frozenStorage' | 'ranks' | 'replicas'>;
  /** Storage of the frozen parameters, by name; undefined: float32. */
  readonly frozen: Readonly<Record<string, Storage>> | undefined;
  readonly options: TrainerOptions;
  readonly seed: number;
  readonly reduceDtype: GradientDtype;
  readonly matmulPrecision: MatmulPrecision;
  /** Of rank 0, for ranks that leave their device to the run. */
  readonly isOnGpu: boolean;
  /** Every rank trains a replica, with this outer optimizer; absent: all train one model. */
  readonly outer?: OuterOptions;
}

export type Command =
  | { readonly type: 'set up'; readonly run: SetUp }
  | { readonly type: 'step'; readonly step: number; readonly terms: number; readonly counted: number }
  | {
      readonly type: 'update';
      readonly updates: number;
      readonly learningRate: number;
      readonly matrixLearningRate: number;
    }
  | { readonly type: 'evaluate'; readonly model: Evaluated }
  /** Collective copies, see SharedTrainer. */
  | { readonly type: 'broadcast state' | 'broadcast parameters' | 'gather state' | 'all-gather average' }
  /** Of a run whose ranks are replicas. */
  | { readonly type: 'replica'; readonly command: ReplicaCommand }
  /** Rank 0 is alive, although it may work alone for a long time. */
  | { readonly type: 'heartbeat' }
  /** The run is over; each rank confirms it. */
  | { readonly type: 'end' };

/** The answer to `set up`: what a rank computes with, or why it cannot take part. */
export type Readiness = ComputesWith | { readonly refusal: string };

export interface ComputesWith {
  /** The kernel build, on which the bits of results depend; see agreement.ts. */
  readonly engine: string;
  readonly version: string;
}

const ARRAYS = 4;

/** Batches as arrays of a message. */
export const arraysOf = (batches: readonly Batch[]): Int32Array[] =>
  batches.flatMap(({ inputs, targets, rows }) => [
    inputs,
    targets,
    rows?.starts ?? new Int32Array(0),
    rows?.positions ?? new Int32Array(0),
  ]);

export function batchesOf(arrays: readonly Int32Array[]): Batch[] {
  const batches: Batch[] = [];
  for (let i = 0; i < arrays.length; i += ARRAYS) {
    const [inputs, targets, starts, positions] = arrays.slice(i, i + ARRAYS);
    const rows: DocumentRows | undefined = starts.length > 0 ? { starts, positions } : undefined;
    batches.push({ inputs, targets, ...(rows && { rows }) });
  }
  return batches;
}
