/** The tensors of a model or an optimizer by name, on the host or on a device. */
import type { Device, Floats } from '../engine/device.ts';
import { elementsOf } from '../engine/memory.ts';
import { toQ8 } from '../engine/q8.ts';
import type { HalfStorage } from '../engine/signatures.ts';
import { elements } from './parameters.ts';

interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A tensor on the host, row-major. */
export interface NamedTensor extends Named {
  readonly data: Float32Array;
}

/** A tensor on a device. Writes and reads begin at element `start`; default: 0. */
export interface DeviceTensor extends Named {
  /** Copies numbers to the device. */
  readonly write: (numbers: Floats, start?: number) => void;
  /** Fills an array from the device. */
  readonly read: <T extends Floats>(into: T, start?: number) => Promise<T>;
  /** Set if it is stored in 16 bits; it can then only be loaded. */
  readonly half?: HalfTarget | undefined;
  /** See Device.firstNonFinite. */
  readonly firstNonFinite?: ((start: number, length: number) => number) | undefined;
}

/** Memory for a tensor in the 16-bit type of its file. */
export interface HalfTarget {
  readonly storage: HalfStorage;
  /** Copies bits to the device. `start` is even. */
  readonly write: (bits: Uint16Array, start: number) => void;
}

/** Destination of a tensor that is loaded. */
export type TensorTarget =
  | NamedTensor
  | (Named & {
      readonly write: (numbers: Float32Array, start?: number) => void;
      readonly firstNonFinite?: DeviceTensor['firstNonFinite'];
      /** Set if only this can be written. */
      readonly half?: HalfTarget | undefined;
    });

export const halfTargetOf = (target: TensorTarget): HalfTarget | undefined =>
  'data' in target ? undefined : target.half;

/** Source of a tensor that is saved. */
export type TensorSource = NamedTensor | Pick<DeviceTensor, 'name' | 'shape' | 'read'>;

/** A tensor in a 16-bit type. @param offset of its first element in the device's memory */
export function halfTensor(
  device: Device,
  { name, shape }: Named,
  { offset, storage }: { readonly offset: number; readonly storage: HalfStorage },
): DeviceTensor {
  const refuse = (): never => {
    throw new Error(`'${name}' is stored as ${storage}; it can only be loaded from a file of that type`);
  };
  const write = (bits: Uint16Array, start: number): void => device.write(offset + start / 2, bits);
  return { name, shape, write: refuse, read: refuse, half: { storage, write } };
}

/** A tensor in q8, which is quantized as it is written, whole blocks at a time. @param offset as of `deviceTensor` */
export function q8Tensor(device: Device, { name, shape }: Named, offset: number): DeviceTensor {
  return {
    name,
    shape,
    write(numbers, start = 0) {
      if (!(numbers instanceof Float32Array)) throw new Error(`'${name}' is quantized from float32 only`);
      device.write(offset + elementsOf(start, 'q8'), toQ8(numbers));
    },
    read() {
      throw new Error(`'${name}' is stored as q8; it can only be written`);
    },
  };
}

/** @param offset of its first element in the device's memory */
export const deviceTensor = (device: Device, { name, shape }: Named, offset: number): DeviceTensor => ({
  name,
  shape,
  write: (numbers, start = 0) => device.write(offset + start, numbers),
  read: (into, start = 0) => device.read(offset + start, into),
  firstNonFinite:
    device.firstNonFinite && ((start, length) => device.firstNonFinite!(offset + start, length)),
});

/** A tensor of zeros on the host. */
export const hostTensor = ({ name, shape }: Named): NamedTensor => ({
  name,
  shape,
  data: new Float32Array(elements(shape)),
});

/** Writes numbers from element `start` on. */
export function writeTensor(target: TensorTarget, numbers: Float32Array, start = 0): void {
  if ('data' in target) target.data.set(numbers, start);
  else target.write(numbers, start);
}

/** The numbers of tensors in order, in chunks of at most `length`; each is valid until the next one is requested. */
export async function* piecesOf(
  tensors: readonly TensorSource[],
  length: number,
): AsyncGenerator<Float32Array> {
  const scratch = new Scratch();
  for (const tensor of tensors) {
    const count = elements(tensor.shape);
    for (let at = 0; at < count; at += length) {
      const end = Math.min(count, at + length);
      yield 'data' in tensor ? tensor.data.subarray(at, end) : await tensor.read(scratch.take(end - at), at);
    }
  }
}

/** Copies of tensors on the host. */
export const readTensors = (tensors: readonly DeviceTensor[]): Promise<NamedTensor[]> =>
  Promise.all(
    tensors.map(async ({ name, shape, read }) => ({
      name,
      shape,
      data: await read(new Float32Array(elements(shape))),
    })),
  );

/** Memory that is allocated once and reused; each `take` invalidates the previous one. */
export class Scratch {
  #memory = new Float32Array(0);

  take(length: number): Float32Array {
    if (length > this.#memory.length) this.#memory = new Float32Array(length);
    return this.#memory.subarray(0, length);
  }

  /** As `take`, for 16-bit numbers. */
  takeHalves(length: number): Uint16Array {
    const { buffer } = this.take(Math.ceil(length / 2));
    return new Uint16Array(buffer, 0, length);
  }
}

/**
 * A target that collects a tensor and passes it on once it is complete.
 *
 * @param scratch may be shared by targets that are written one after the other
 */
export const gathered = (
  { name, shape }: Named,
  scratch: Scratch,
  use: (whole: Float32Array) => void,
): TensorTarget => ({
  name,
  shape,
  write: collect(elements(shape), (length) => scratch.take(length), use),
});

/** As `gathered`, for a tensor that is stored in 16 bits. */
export function gatheredHalf(
  { name, shape, write }: DeviceTensor,
  storage: HalfStorage,
  { scratch, use }: { readonly scratch: Scratch; readonly use: (whole: Uint16Array) => void },
): TensorTarget {
  const half = { storage, write: collect(elements(shape), (length) => scratch.takeHalves(length), use) };
  return { name, shape, write, half };
}

/** Copies numbers that arrive in pieces to memory of `take`, and calls `use` when all `length` are there. */
function collect<T extends Float32Array | Uint16Array>(
  length: number,
  take: (length: number) => T,
  use: (whole: T) => void,
): (numbers: T, start?: number) => void {
  let missing = length;
  return (numbers, start = 0) => {
    const whole = take(length);
    whole.set(numbers, start);
    missing -= numbers.length;
    if (missing > 0) return;
    missing = length;
    use(whole);
  };
}

/** A target for as many rows of a table as fit into another. Nothing is written of a table with fewer rows. */
export function clipped(target: TensorTarget, shape: readonly number[]): TensorTarget {
  const room = elements(shape) < elements(target.shape) ? 0 : elements(target.shape);
  return {
    name: target.name,
    shape,
    write(numbers, start = 0) {
      if (start < room) writeTensor(target, numbers.subarray(0, room - start), start);
    },
  };
}
