import type { Device } from '../engine/device.ts';
import { Layout, type Region } from '../engine/memory.ts';
import { Philox, Stream } from '../engine/philox.ts';
import { createReferenceBackend } from '../engine/reference/backend.ts';
import { differentiate } from './gradients.ts';
import { size, type PlacedValue, type Value } from './graph.ts';
import { plan } from './plan.ts';
import { createTape, type Tape } from './tape.ts';

/** An input of a check: normal random numbers, random integers in [from, below), or the given integers. */
export type CheckInput =
  | { readonly name: string; readonly shape: readonly number[]; readonly scale?: number }
  | {
      readonly name: string;
      readonly shape: readonly number[];
      readonly from: number;
      readonly below: number;
    }
  | { readonly name: string; readonly shape: readonly number[]; readonly ids: readonly number[] };

/** An input without a derivative: integers. */
export const isInteger = (input: CheckInput): boolean => 'below' in input || 'ids' in input;

/** A function whose hand-written derivative is compared with a numerical one. */
export interface GradientCase {
  /** Op and shapes, for the table. */
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

/** Central differences have errors of order h² and ε/h: in float64, h = 1e-5 makes both about 1e-10. */
const STEP = 1e-5;

/** Relative error of a correct derivative: 1e-10 from STEP, times the curvature of a whole model. Wrong ones have 1e-2 or more. */
export const TOLERANCE = 1e-6;

/**
 * Compares derivatives with ∂L/∂x ≈ (L(x + h) − L(x − h))/2h, element by element, in float64 on the reference kernels.
 * L is the sum of the function's outputs, each weighted with a random number, so that every output counts differently.
 *
 * @param limit check at most this many elements of each tensor, evenly spaced
 */
export async function checkGradients(
  check: GradientCase,
  { seed = 1, limit = Infinity } = {},
): Promise<GradientResult[]> {
  const { out, weights, values, parameters, forward, backward } = planCheck(check);
  const device = createReferenceBackend('float64');
  device.reserve(Math.max(forward.end, backward.end));
  const inputs = check.inputs.map((input, i) => {
    const numbers = numbersOf(input, new Philox(seed, i, Stream.gradcheck));
    device.write(values[input.name].region.offset, numbers);
    return numbers;
  });
  const random = new Philox(seed, check.inputs.length, Stream.gradcheck);
  const weightNumbers = Float64Array.from({ length: size(out) }, () => random.normalPair()[0]);
  device.write(weights.offset, weightNumbers);

  const forwardProgram = device.load(forward.instructions);
  const outOffset = forward.buffer(out).offset;
  const outNumbers = new Float64Array(size(out));
  const loss = async (): Promise<number> => {
    forwardProgram.submit();
    await device.read(outOffset, outNumbers);
    return outNumbers.reduce((sum, y, i) => sum + y * weightNumbers[i], 0);
  };
  device.load(backward.instructions).submit();
  const analytic = await Promise.all(
    parameters.map(({ gradient }) => device.read(gradient.offset, new Float64Array(gradient.length))),
  );

  const results: GradientResult[] = [];
  for (const [t, { value, region, input }] of parameters.entries()) {
    const differences = numericalGradient(device, region, inputs[input] as Float64Array, { limit, loss });
    results.push({
      case: check.name,
      input: value.name,
      ...(await compare(analytic[t], differences)),
    });
  }
  return results;
}

/** Records, differentiates and plans a check. */
function planCheck(check: GradientCase) {
  const layout = new Layout();
  const tape = createTape();
  const values: Record<string, PlacedValue> = {};
  const parameters: { value: Value; input: number; region: Region; gradient: Region }[] = [];
  for (const [i, input] of check.inputs.entries()) {
    const length = size(input);
    const region = layout.allocate(length, isInteger(input) ? 'i32' : 'f32');
    const value = tape.external(input.name, input.shape, region, !isInteger(input));
    values[input.name] = value;
    if (!isInteger(input)) parameters.push({ value, input: i, region, gradient: layout.allocate(length) });
  }
  const out = check.record(tape, values);
  const weights = layout.allocate(size(out));
  const forward = plan(tape.nodes, layout.end, [out]);
  const gradients = new Map(parameters.map(({ value, gradient }) => [value, gradient]));
  differentiate(tape, out, tape.external('weights', out.shape, weights), gradients);
  const backward = plan(tape.nodes, layout.end, [out]);
  return { out, weights, values, parameters, forward, backward };
}

/** The indices of evenly spaced elements of a tensor, with ∂L/∂x by central differences. */
async function* numericalGradient(
  device: Device,
  { offset, length }: Region,
  numbers: Float64Array,
  { limit, loss }: { readonly limit: number; readonly loss: () => Promise<number> },
): AsyncGenerator<{ readonly i: number; readonly numerical: number }> {
  const lossWith = (i: number, x: number): Promise<number> => {
    device.write(offset + i, Float64Array.of(x));
    return loss();
  };
  const stride = Math.max(1, Math.ceil(length / limit));
  for (let i = 0; i < length; i += stride) {
    const above = await lossWith(i, numbers[i] + STEP);
    const below = await lossWith(i, numbers[i] - STEP);
    device.write(offset + i, numbers.subarray(i, i + 1));
    yield { i, numerical: (above - below) / (2 * STEP) };
  }
}

async function compare(
  analytic: Float64Array,
  differences: ReturnType<typeof numericalGradient>,
): Promise<{ elements: number; relativeError: number }> {
  let worst = 0;
  let largest = 0;
  let elements = 0;
  for await (const { i, numerical } of differences) {
    worst = Math.max(worst, Math.abs(analytic[i] - numerical));
    largest = Math.max(largest, Math.abs(numerical));
    elements++;
  }
  // Where the true derivative is 0 (an unused table row, for example), the error is judged against 1.
  return { elements, relativeError: worst / (largest > STEP ? largest : 1) };
}

function numbersOf(input: CheckInput, random: Philox): Float64Array | Int32Array {
  const length = size(input);
  if ('ids' in input) return Int32Array.from(input.ids);
  if ('below' in input)
    return Int32Array.from({ length }, () => input.from + random.below(input.below - input.from));
  return Float64Array.from({ length }, () => random.normalPair()[0] * (input.scale ?? 1));
}
