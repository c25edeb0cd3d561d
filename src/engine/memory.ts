import { UserError } from '../errors.ts';
import { formatMemory, machineMemory } from '../machine-memory.ts';

/** A stretch of engine memory, in 4-byte elements. */
export interface Region {
  readonly offset: number;
  readonly length: number;
  readonly dtype: 'f32' | 'i32';
}

/** Buffers start on cache lines: 16 elements of 4 bytes. */
export const ALIGNMENT = 16;
export const align = (elements: number): number => Math.ceil(elements / ALIGNMENT) * ALIGNMENT;

/** Hands out memory that stays: parameters, gradients, optimiser state, inputs. Activations come after it, planned. */
export class Layout {
  #end: number;

  /** @param start the first free element */
  constructor(start = 0) {
    this.#end = start;
  }

  /** Reserves a stretch of `length` elements on a cache line. */
  allocate(length: number, dtype: Region['dtype'] = 'f32'): Region {
    const region: Region = { offset: this.#end, length, dtype };
    this.#end += align(length);
    return region;
  }

  /** The first element behind everything allocated. */
  get end(): number {
    return this.#end;
  }
}

/** The configuration does not fit the engine's address space or the machine. */
export class EngineMemoryError extends UserError {
  override readonly name = 'EngineMemoryError';
  constructor(message: string, options: { hint: string; cause?: unknown }) {
    super('out-of-memory', message, options);
  }
}

/** Looks whether the machine has so many bytes at all, before the system is asked for them: it would promise them, and kill. */
export function checkMachineMemory(bytes: number): void {
  const limit = machineMemory();
  if (bytes > limit)
    throw new EngineMemoryError(
      `this needs ${formatMemory(bytes)} of memory; this machine has ${formatMemory(limit)}`,
      { hint: 'use a smaller model' },
    );
}
