import { Q8_BLOCK, Q8_BLOCK_BYTES } from './q8.ts';
import type { NarrowStorage, Storage } from './signatures.ts';

/**
 * A range of a device's memory. `offset` is in 4-byte elements, `length` in numbers, of which an
 * element holds several if they are of a narrow type.
 */
export interface Region {
  readonly offset: number;
  readonly length: number;
  readonly dtype: Storage | 'i32';
}

export const isNarrow = (dtype: Region['dtype']): dtype is NarrowStorage =>
  dtype !== 'f32' && dtype !== 'i32';

/** Bytes of memory that numbers of a type take. For q8 they are whole blocks. */
export function bytesOf(length: number, dtype: Region['dtype']): number {
  if (dtype === 'q8') return (length / Q8_BLOCK) * Q8_BLOCK_BYTES;
  return isNarrow(dtype) ? 2 * length : 4 * length;
}

/** Elements of memory that numbers of a type take. */
export const elementsOf = (length: number, dtype: Region['dtype']): number =>
  Math.ceil(bytesOf(length, dtype) / 4);

/** Buffers start on cache lines: 16 elements of 4 bytes. */
const ALIGNMENT = 16;
export const align = (elements: number): number => Math.ceil(elements / ALIGNMENT) * ALIGNMENT;

/** Allocates permanent buffers: parameters, gradients, optimizer state, inputs. The arena of activations follows them. */
export class Layout {
  #end: number;

  /** @param start the first free element */
  constructor(start = 0) {
    this.#end = start;
  }

  /** Allocates memory for `length` numbers, aligned to a cache line. */
  allocate(length: number, dtype: Region['dtype'] = 'f32'): Region {
    const region: Region = { offset: this.#end, length, dtype };
    this.#end += align(elementsOf(length, dtype));
    return region;
  }

  /** The first free element. */
  get end(): number {
    return this.#end;
  }
}
