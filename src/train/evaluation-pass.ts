import type { Batch } from '../data/batches.ts';
import type { Device, Loaded } from '../engine/device.ts';
import { runInParts } from '../engine/run-in-parts.ts';
import type { InParts } from '../polling.ts';
import type { BatchMemory, EvaluationProgram } from './programs.ts';

/** Sum of the losses of unmasked targets, in nats, and their number. */
export interface LossTotal {
  sum: number;
  count: number;
}

/** Forward passes over batches, without dropout, with the parameters at one location in memory. */
export class EvaluationPass {
  readonly #device: Device;
  readonly #planned: EvaluationProgram;
  readonly #loaded: Loaded;
  readonly #memory: BatchMemory;
  /** A copy of the last batch's losses. */
  readonly #losses: Float64Array;

  constructor(device: Device, planned: EvaluationProgram, memory: BatchMemory) {
    this.#device = device;
    this.#planned = planned;
    this.#loaded = device.load(planned.program.instructions);
    this.#memory = memory;
    this.#losses = new Float64Array(memory.B * memory.T);
  }

  /**
   * Adds the losses of a batch's counted targets, in parts.
   *
   * @param seconds expected duration; undefined: not known yet
   */
  async *addingLosses(batch: Batch, total: LossTotal, seconds: number | undefined): InParts<void> {
    addCounted(batch, yield* this.losses(batch, seconds), total);
  }

  /** The losses of a batch [B·T], in parts; those of masked targets have no meaning. Valid until the next batch. */
  async *losses(batch: Batch, seconds: number | undefined): InParts<Float64Array> {
    writeBatch(this.#device, batch, this.#memory);
    const { program, losses } = this.#planned;
    yield* runInParts(this.#device, this.#loaded, program.instructions.length, seconds);
    return this.#device.read(losses, this.#losses);
  }
}

/** Writes a batch to the inputs of a program. Without document starts, positions never change: see `writePositions`. */
export function writeBatch(device: Device, { inputs, targets, rows }: Batch, memory: BatchMemory): void {
  device.write(memory.ids.offset, inputs);
  device.write(memory.targets.offset, targets);
  if (memory.starts === undefined) return;
  if (rows === undefined) throw new Error('the batch does not say where documents begin');
  device.write(memory.positions.offset, rows.positions);
  device.write(memory.starts.offset, rows.starts);
}

/** Writes the positions of rows that are one document each. */
export function writePositions(device: Device, { positions, T }: BatchMemory): void {
  device.write(
    positions.offset,
    Int32Array.from({ length: positions.length }, (_, i) => i % T),
  );
}

/** Adds the losses of the targets that count, and their number. Summed in float64, in order. */
export function addCounted({ targets }: Batch, losses: Float64Array, total: LossTotal): LossTotal {
  for (let i = 0; i < targets.length; i++) {
    if (targets[i] < 0) continue;
    total.sum += losses[i];
    total.count++;
  }
  return total;
}
