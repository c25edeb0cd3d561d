import type { Backend } from '../engine/device.ts';
import { Layout, type Region } from '../engine/memory.ts';
import { Philox, Stream } from '../engine/philox.ts';
import { createReferenceBackend } from '../engine/reference/backend.ts';
import { differentiate, size, type Value } from './graph.ts';
import { plan } from './plan.ts';
import { createTape, type Tape } from './tape.ts';

/** A tensor a check feeds in: normal numbers, whole numbers in [from, below), or these whole numbers. */
export type CheckInput =
  | { readonly name: string; readonly shape: readonly number[]; readonly scale?: number }
  | {
      readonly name: string;
      readonly shape: readonly number[];
      readonly from: number;
      readonly below: number;
    }
  | { readonly name: string; readonly shape: readonly number[]; readonly ids: readonly number[] };

/** Whether an input holds integers, which have no derivative. */
export const isInteger = (input: CheckInput): boolean => 'below' in input || 'ids' in input;

/** A function whose hand-written derivative is to be compared with a numerical one. */
export interface GradientCase {
  /** For the table: what and at which shapes. */
  readonly name: string;
  readonly inputs: readonly CheckInput[];
  readonly record: (t: Tape, values: Readonly<Record<string, Value>>) => Value;
}

export interface GradientResult {
  readonly case: string;
  readonly input: string;
  readonly elements: number;
  /** max |analytic − numerical| / max |numerical| over the tensor's elements. */
  readonly relativeError: number;
}

/** Central differences err by h² and by rounding/h: in float64 h = 1e-5 makes both about 1e-10. */
const STEP = 1e-5;

/** How far a right derivative may be off: 1e-10 from STEP, times the curvature of a whole model. A wrong one is off by 1e-2 or more. */
export const TOLERANCE = 1e-6;

/**
 * Compares derivatives with ∂L/∂x ≈ (L(x + h) − L(x − h))/2h, element by element, in float64 on the reference kernels.
 * L is the sum of the function's outputs, each weighted with a random number, so that every output counts differently.
 *
 * @param limit check at most this many elements of each tensor, spread evenly
 */
export function checkGradients(check: GradientCase, { seed = 1, limit = Infinity } = {}): GradientResult[] {
  const layout = new Layout();
  const tape = createTape();
  const floats: { value: Value; region: Region; gradient: Region }[] = [];
  const values: Record<string, Value> = {};
  const regions = new Map<Value, Region>();
  for (const input of check.inputs) {
    const isIds = isInteger(input);
    const length = input.shape.reduce((a, b) => a * b, 1);
    const region = layout.allocate(length, isIds ? 'i32' : 'f32');
    const value = tape.external(input.name, input.shape, region, !isIds);
    values[input.name] = value;
    if (isIds) continue;
    const gradient = layout.allocate(length);
    regions.set(value, gradient);
    floats.push({ value, region, gradient });
  }
  const out = check.record(tape, values);
  const outLength = size(out);
  const weights = layout.allocate(outLength);
  const forward = plan(tape.nodes, layout.end, [out]);
  differentiate(tape, out, tape.external('weights', out.shape, weights), regions);
  const backward = plan(tape.nodes, layout.end, [out]);

  const backend: Backend = createReferenceBackend('float64');
  backend.reserve(Math.max(forward.end, backward.end));
  check.inputs.forEach((input, i) =>
    fill(backend, values[input.name].region!, input, new Philox(seed, i, Stream.gradcheck)),
  );
  const random = new Philox(seed, check.inputs.length, Stream.gradcheck);
  for (let i = 0; i < outLength; i++) backend.floats[weights.offset + i] = random.normalPair()[0];

  const forwardProgram = backend.load(forward.instructions);
  const outOffset = forward.buffer(out).offset;
  const loss = (): number => {
    forwardProgram.submit();
    let sum = 0;
    for (let i = 0; i < outLength; i++)
      sum += backend.floats[outOffset + i] * backend.floats[weights.offset + i];
    return sum;
  };
  backend.load(backward.instructions).submit();
  const analytic = floats.map(({ gradient }) =>
    backend.floats.slice(gradient.offset, gradient.offset + gradient.length),
  );

  return floats.map(({ value, region }, t) => {
    const stride = Math.max(1, Math.ceil(region.length / limit));
    let worst = 0;
    let largest = 0;
    let checked = 0;
    for (let i = 0; i < region.length; i += stride, checked++) {
      const at = region.offset + i;
      const x = backend.floats[at];
      backend.floats[at] = x + STEP;
      const above = loss();
      backend.floats[at] = x - STEP;
      const below = loss();
      backend.floats[at] = x;
      const numerical = (above - below) / (2 * STEP);
      worst = Math.max(worst, Math.abs(analytic[t][i] - numerical));
      largest = Math.max(largest, Math.abs(numerical));
    }
    // Where the true derivative is 0 (an unused table row, say), the error is judged against 1.
    const relativeError = worst / (largest > STEP ? largest : 1);
    return { case: check.name, input: value.name, elements: checked, relativeError };
  });
}

function fill(backend: Backend, { offset, length }: Region, input: CheckInput, random: Philox): void {
  for (let i = 0; i < length; i++) {
    if ('ids' in input) backend.ints[offset + i] = input.ids[i];
    else if ('below' in input) backend.ints[offset + i] = input.from + random.below(input.below - input.from);
    else backend.floats[offset + i] = random.normalPair()[0] * (input.scale ?? 1);
  }
}
