import type { Device } from './device.ts';
import type { Buffer, Instruction } from './instruction.ts';
import { kernelCases, type Fill, type KernelCase } from './kernel-cases.ts';
import { toBfloat16, toFloat16 } from '../half-precision.ts';
import { elementsOf, Layout } from './memory.ts';
import { Philox, Stream } from './philox.ts';
import { toQ8 } from './q8.ts';
import {
  isBuffer,
  signatures,
  WRITE_ROLES,
  type Argument,
  type KernelName,
  type Role,
} from './signatures.ts';

/** Guard pattern before and after every buffer, which no kernel computes; as a float it is a NaN. */
const GUARD = 0x7fc0dead;
const GUARD_LENGTH = 16;

/** Every buffer of a kernel after a run, by the name of its parameter. */
export type KernelResults = Readonly<Record<string, Float64Array>>;

/**
 * Runs one kernel alone on random numbers, which are the same on every device. Resolves to the contents of every buffer
 * afterwards.
 *
 * @throws Error if it wrote outside its buffers
 */
export async function tryKernel(
  device: Device,
  kernel: KernelName,
  kernelCase: KernelCase,
  accumulate: boolean,
): Promise<KernelResults> {
  const layout = new Layout();
  const regions: Record<string, { offset: number; length: number }> = {};
  const guards: { offset: number; length: number }[] = [layout.allocate(GUARD_LENGTH)];
  const args: Record<string, Argument<Buffer>> = {};
  const roles: Record<string, Role> = signatures[kernel];
  for (const [name, value] of Object.entries(kernelCase)) {
    if (!isBuffer(value)) {
      args[name] = value;
      continue;
    }
    const { storage, averagedOver, isOfLogits } = value;
    const { offset } = layout.allocate(value.length, storage);
    const length = elementsOf(value.length, storage ?? 'f32');
    regions[name] = { offset, length };
    guards.push({ offset: offset + length, length: layout.end - offset - length });
    guards.push(layout.allocate(GUARD_LENGTH));
    args[name] = {
      offset,
      length: value.length,
      ...(storage && { storage }),
      ...(averagedOver !== undefined && { averagedOver }),
      ...(isOfLogits && { isOfLogits }),
      ...(roles[name] === 'accumulate' && { accumulate }),
    };
  }
  device.reserve(layout.end);
  for (const { offset, length } of guards) device.write(offset, new Int32Array(length).fill(GUARD));
  Object.entries(regions).forEach(([name, { offset }], i) => {
    const isInteger = roles[name] === 'ids' || roles[name] === 'optionalIds';
    const fill = kernelCase[name] as Fill;
    const numbers = valuesOf(fill, i);
    if (fill.storage !== undefined) {
      device.write(offset, toStorage[fill.storage](Float32Array.from(numbers)));
      return;
    }
    device.write(offset, isInteger ? Int32Array.from(numbers) : Float64Array.from(numbers));
  });
  device.load([{ kernel, args, label: 'alone' } as unknown as Instruction]).submit();
  for (const { offset, length } of guards) {
    const index = (await device.read(offset, new Int32Array(length))).findIndex((word) => word !== GUARD);
    if (index >= 0) throw new Error(`${kernel} wrote outside its buffers, at element ${offset + index}`);
  }
  const results: Record<string, Float64Array> = {};
  for (const [name, { offset, length }] of Object.entries(regions))
    results[name] = await device.read(offset, new Float64Array(length));
  return results;
}

const toStorage = { bf16: toBfloat16, f16: toFloat16, q8: toQ8 } as const;

/** The numbers of each buffer, computed once for all devices that are compared. */
const made = new WeakMap<Fill, readonly number[]>();

function valuesOf(fill: Fill, seed: number): readonly number[] {
  const numbers = made.get(fill) ?? draw(fill, new Philox(seed, 0, Stream.gradcheck));
  made.set(fill, numbers);
  return numbers;
}

function draw(fill: Fill, random: Philox): number[] {
  switch (fill.kind) {
    case 'exact':
      return [...fill.values];
    case 'ids':
      return Array.from({ length: fill.length }, () => fill.from + random.below(fill.below - fill.from));
    case 'normal':
      return Array.from({ length: fill.length }, () =>
        Math.fround(random.normalPair()[0] * (fill.scale ?? 1)),
      );
    case 'positive':
      return Array.from({ length: fill.length }, () => Math.fround(Math.abs(random.normalPair()[0]) + 0.1));
    default:
      return fill satisfies never;
  }
}

/** The buffers in which devices must agree after a kernel: all that it writes except scratch. */
export const resultsOf = (kernel: KernelName): string[] =>
  Object.entries<Role>(signatures[kernel])
    .filter(([name, role]) => WRITE_ROLES.has(role) && name !== 'partials')
    .map(([name]) => name);

/** Allowed difference between orders of float32 arithmetic, relative to the tensor's largest number (at least 1). */
const TOLERANCE = 2e-5;
/** The same with weights in q8, where a kernel may round the other operand to 16 bits, block by block. */
const Q8_TOLERANCE = 3e-4;

/** Compares a kernel on two devices. Resolves to the first difference, or undefined. */
export async function compareKernel(
  [actual, expected]: readonly [Device, Device],
  kernel: KernelName,
  kernelCase: KernelCase,
  accumulate: boolean,
): Promise<string | undefined> {
  const [a, e] = await Promise.all(
    [actual, expected].map((device) => tryKernel(device, kernel, kernelCase, accumulate)),
  );
  const hasQ8 = Object.values(kernelCase).some((value) => isBuffer(value) && value.storage === 'q8');
  return firstDifference(kernel, a, e, hasQ8 ? Q8_TOLERANCE : TOLERANCE);
}

/** The first result of a kernel that differs by more than rounding, or undefined. */
export function firstDifference(
  kernel: KernelName,
  actual: KernelResults,
  expected: KernelResults,
  tolerance = TOLERANCE,
): string | undefined {
  for (const name of resultsOf(kernel)) {
    let largest = 1;
    for (const x of expected[name]) largest = Math.max(largest, Math.abs(x));
    const off = actual[name].findIndex((x, i) => !(Math.abs(x - expected[name][i]) <= tolerance * largest));
    if (off >= 0) return `${kernel}: ${name}[${off}] is ${actual[name][off]}, not ${expected[name][off]}`;
  }
  return undefined;
}

/** Compares every kernel with another device, once. Resolves to the first difference, or undefined if all agree. */
export async function checkDevice(device: Device, reference: Device): Promise<string | undefined> {
  for (const [kernel, make] of Object.entries(kernelCases) as [
    KernelName,
    (typeof kernelCases)[KernelName],
  ][]) {
    const found = await compareKernel([device, reference], kernel, make(19, 21, 7, true), false);
    if (found !== undefined) return found;
  }
  return undefined;
}
