import { formatMemory } from '../../format-memory.ts';
import { MAX_PAGES, PAGE } from './address-space.ts';
import type { NarrowNumbers, Numbers } from '../device.ts';
import { EngineMemoryError } from '../engine-memory-error.ts';
import { checkMachineMemory } from '../check-machine-memory.ts';

/**
 * The device's memory: a WebAssembly memory from byte `base` on, in elements of 4 bytes. Views stay private to this class,
 * because growing the memory replaces them.
 */
export class DeviceMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #base: number;
  #floats: Float32Array;
  #ints: Int32Array;

  constructor(memory: WebAssembly.Memory, base: number) {
    this.#memory = memory;
    this.#base = base;
    this.#floats = new Float32Array(memory.buffer, base);
    this.#ints = new Int32Array(memory.buffer, base);
  }

  /** In elements. */
  get size(): number {
    return this.#floats.length;
  }

  /** See Device.reserve. */
  reserve(elements: number): void {
    const bytes = this.#base + 4 * elements;
    const { buffer } = this.#memory;
    if (bytes <= buffer.byteLength) return;
    const pages = Math.ceil(bytes / PAGE);
    if (pages > MAX_PAGES)
      throw new EngineMemoryError(
        `this needs ${formatMemory(4 * elements)} of memory; the engine can address ${formatMemory(MAX_PAGES * PAGE - this.#base)}`,
        { hint: 'use a smaller model' },
      );
    checkMachineMemory(4 * elements);
    try {
      this.#memory.grow(pages - buffer.byteLength / PAGE);
    } catch (cause) {
      throw new EngineMemoryError(
        `the system cannot provide the ${formatMemory(4 * elements)} of memory this needs`,
        {
          hint: 'close other programs or use a smaller model',
          cause,
        },
      );
    }
    this.#floats = new Float32Array(this.#memory.buffer, this.#base);
    this.#ints = new Int32Array(this.#memory.buffer, this.#base);
  }

  write(offset: number, numbers: Numbers | NarrowNumbers): void {
    if (numbers instanceof Uint16Array || numbers instanceof Uint8Array) {
      const { buffer, byteOffset, byteLength } = numbers;
      const at = this.#base + 4 * offset;
      new Uint8Array(this.#memory.buffer, at, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength));
      return;
    }
    const target = numbers instanceof Int32Array ? this.#ints : this.#floats;
    if (numbers.length > SHORT || offset + numbers.length > target.length) target.set(numbers, offset);
    else for (let i = 0; i < numbers.length; i++) target[offset + i] = numbers[i];
  }

  fill(offset: number, length: number, value: number): void {
    this.#floats.fill(value, offset, offset + length);
  }

  copy(from: number, to: number, length: number): void {
    this.#floats.copyWithin(to, from, from + length);
  }

  read(offset: number, into: Numbers): void {
    const source = into instanceof Int32Array ? this.#ints : this.#floats;
    if (into.length > SHORT) into.set(source.subarray(offset, offset + into.length));
    else for (let i = 0; i < into.length; i++) into[i] = source[offset + i];
  }
}

/** Up to this many elements, a loop is faster than a view and `set`, which cost 0.3 µs per sampled token. */
const SHORT = 128;
