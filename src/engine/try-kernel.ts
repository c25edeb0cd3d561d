import type { Backend } from './device.ts';
import type { Buffer, Instruction } from './instruction.ts';
import { kernelCases, type Fill, type KernelCase } from './kernel-cases.ts';
import { Layout } from './memory.ts';
import { Philox, Stream } from './philox.ts';
import { signatures, WRITE_ROLES, type KernelName, type Role } from './signatures.ts';

/** A pattern no kernel computes, before and after every buffer; as a float it is a NaN. */
const GUARD = 0x7fc0dead;
const GUARD_LENGTH = 16;

/** Every buffer of a kernel after a run, by the name of its parameter. */
export type KernelResults = Readonly<Record<string, Float32Array | Float64Array>>;

/**
 * Runs one kernel alone on random numbers; returns every buffer after it. Throws if it wrote outside its buffers.
 *
 * The same case gives the same numbers on every backend, so that results can be compared.
 */
export function tryKernel(
  backend: Backend,
  kernel: KernelName,
  kernelCase: KernelCase,
  accumulate: boolean,
): KernelResults {
  const layout = new Layout();
  const regions: Record<string, { offset: number; length: number }> = {};
  const guards: { offset: number; length: number }[] = [layout.allocate(GUARD_LENGTH)];
  const args: Record<string, Buffer | number | null> = {};
  const roles: Record<string, Role> = signatures[kernel];
  for (const [name, value] of Object.entries(kernelCase)) {
    args[name] = typeof value === 'number' ? value : null;
    if (typeof value === 'number' || value === null) continue;
    const { offset, length } = layout.allocate(value.length);
    regions[name] = { offset, length };
    guards.push({ offset: offset + length, length: layout.end - offset - length });
    guards.push(layout.allocate(GUARD_LENGTH));
    args[name] = { offset, length, ...(roles[name] === 'accumulate' && { accumulate }) };
  }
  backend.reserve(layout.end);
  for (const { offset, length } of guards) backend.ints.fill(GUARD, offset, offset + length);
  Object.entries(regions).forEach(([name, { offset }], i) => {
    const isInteger = roles[name] === 'ids' || roles[name] === 'optionalIds';
    const target = isInteger ? backend.ints : backend.floats;
    target.set(valuesOf(kernelCase[name] as Fill, i), offset);
  });
  backend.load([{ kernel, args, label: 'alone' } as unknown as Instruction]).submit();
  for (const { offset, length } of guards)
    for (let i = offset; i < offset + length; i++)
      if (backend.ints[i] !== GUARD) throw new Error(`${kernel} wrote outside its buffers, at element ${i}`);
  return Object.fromEntries(
    Object.entries(regions).map(([name, { offset, length }]) => [
      name,
      backend.floats.slice(offset, offset + length),
    ]),
  );
}

/** The numbers of each buffer, made once for all backends that are compared. */
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

/** What a kernel leaves behind that backends must agree on; scratch is its own business. */
export const resultsOf = (kernel: KernelName): string[] =>
  Object.entries<Role>(signatures[kernel])
    .filter(([name, role]) => WRITE_ROLES.has(role) && name !== 'partials')
    .map(([name]) => name);

/** Where float32 arithmetic in another order may land: rounding, against the largest number of the tensor (at least 1). */
const TOLERANCE = 2e-5;

/** Compares a kernel on two backends. Returns what differs, or undefined. */
export function compareKernel(
  [actual, expected]: readonly [Backend, Backend],
  kernel: KernelName,
  kernelCase: KernelCase,
  accumulate: boolean,
): string | undefined {
  const [a, e] = [actual, expected].map((backend) => tryKernel(backend, kernel, kernelCase, accumulate));
  return firstDifference(kernel, a, e);
}

/** The first number of a kernel's results that is off by more than rounding, or undefined. */
export function firstDifference(
  kernel: KernelName,
  actual: KernelResults,
  expected: KernelResults,
): string | undefined {
  for (const name of resultsOf(kernel)) {
    let largest = 1;
    for (const x of expected[name]) largest = Math.max(largest, Math.abs(x));
    const off = actual[name].findIndex((x, i) => !(Math.abs(x - expected[name][i]) <= TOLERANCE * largest));
    if (off >= 0) return `${kernel}: ${name}[${off}] is ${actual[name][off]}, not ${expected[name][off]}`;
  }
  return undefined;
}

/** Tries every kernel once against another backend. Returns the first difference, or undefined if all agree. */
export function checkBackend(backend: Backend, reference: Backend): string | undefined {
  for (const [kernel, make] of Object.entries(kernelCases) as [
    KernelName,
    (typeof kernelCases)[KernelName],
  ][]) {
    const found = compareKernel([backend, reference], kernel, make(19, 21, 7, true), false);
    if (found !== undefined) return found;
  }
  return undefined;
}
