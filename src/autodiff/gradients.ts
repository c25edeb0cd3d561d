/** Reverse-mode differentiation of a recorded forward pass. */
import type { Region } from '../engine/memory.ts';
import type { KernelArguments, KernelName } from '../engine/signatures.ts';
import { asMatrix, channels, ownerOf, size, type Value } from './graph.ts';
import type { Gradients, Recorder } from './recorder.ts';

/**
 * The gradients of a backward pass: for each value the sum of the contributions so far. Every sum is a value of its own; the
 * planner accumulates a chain of them in one buffer.
 */
class GradientSums implements Gradients {
  readonly #record: Recorder;
  readonly #sums = new Map<Value, Value>();
  /** The memory of each parameter's gradient. */
  readonly #regions: ReadonlyMap<Value, Region>;
  readonly #averagedOver: number;

  constructor(record: Recorder, regions: ReadonlyMap<Value, Region>, averagedOver: number) {
    this.#record = record;
    this.#regions = regions;
    this.#averagedOver = averagedOver;
  }

  /** The gradient of x so far; undefined without a contribution. */
  of(x: Value): Value | undefined {
    return this.#sums.get(x);
  }

  /** Sets the gradient of x to dX. */
  seed(x: Value, dX: Value): void {
    this.#sums.set(x, dX);
  }

  add(x: Value, emit: (dX: Value) => void, marks: Pick<Value, 'isOfLogits'> = {}): void {
    if (!x.needsGradient) return;
    const dX = { ...this.#nextSum(x), ...marks };
    emit(dX);
    this.#sums.set(x, dX);
  }

  addTogether(xs: readonly Value[], emit: (dXs: Value[]) => void): void {
    const owners = [...new Set(xs.map(ownerOf))];
    if (!owners.some((value) => value.needsGradient)) return;
    const gradients = new Map(
      owners.map((value) => {
        checkCovered(value, xs);
        return [value, value.needsGradient ? this.#nextSum(value) : this.local(value.shape)];
      }),
    );
    emit(
      xs.map((x) => {
        const gradient = gradients.get(ownerOf(x))!;
        return x.view === undefined ? gradient : channels(gradient, x.view.first, asMatrix(x).columns);
      }),
    );
    for (const [value, gradient] of gradients) if (value.needsGradient) this.#sums.set(value, gradient);
  }

  /** A new value for the gradient of x, including the next contribution. */
  #nextSum(x: Value): Value {
    return {
      name: `d ${x.name}`,
      shape: x.shape,
      dtype: 'f32',
      region: this.#regions.get(x),
      base: this.#sums.get(x),
      averagedOver: this.#averagedOver,
      needsGradient: false,
    };
  }

  pass(x: Value, dOut: Value): void {
    if (!x.needsGradient) return;
    if (this.#sums.has(x) || this.#regions.has(x))
      this.add(x, (dX) => this.emit('copy', { x: dOut, y: dX, n: size(x) }));
    else this.#sums.set(x, dOut);
  }

  emit<K extends KernelName>(kernel: K, args: KernelArguments<K, Value>): void {
    this.#record.emit(kernel, args);
  }

  operand(x: Value): Value {
    return this.#record.recompute(x);
  }

  local(shape: readonly number[]): Value {
    return { ...this.#record.local(shape), averagedOver: this.#averagedOver };
  }
}

/**
 * Appends the backward pass: op calls are visited in reverse, and each whose result has a gradient records the kernels of its
 * derivative.
 *
 * @param dLoss the gradient to start from, of `loss`'s shape
 * @param regions the memory of each parameter's gradient, which is overwritten
 * @param averagedOver number of tokens in the mean that is differentiated, if more than `loss` has
 */
export function differentiate(
  record: Recorder,
  loss: Value,
  dLoss: Value,
  regions: ReadonlyMap<Value, Region>,
  averagedOver = size(loss),
): Gradients {
  const gradients = new GradientSums(record, regions, averagedOver);
  gradients.seed(loss, { ...dLoss, averagedOver });
  for (const entry of record.entries.toReversed()) {
    const dOut = gradients.of(entry.out);
    if (dOut !== undefined) record.scope(`${entry.label} backward`, () => entry.backward(gradients, dOut));
  }
  return gradients;
}

/** @throws Error unless the views among `xs` cover each channel of the value exactly once */
function checkCovered(value: Value, xs: readonly Value[]): void {
  const { columns } = asMatrix(value);
  const parts = xs
    .filter((x) => ownerOf(x) === value)
    .map((x) => ({ first: x.view?.first ?? 0, count: asMatrix(x).columns }))
    .sort((a, b) => a.first - b.first);
  let covered = 0;
  for (const { first, count } of parts) covered = first === covered ? covered + count : NaN;
  if (covered !== columns)
    throw new Error(`the operands do not show each of the ${columns} channels of '${value.name}' once`);
}
