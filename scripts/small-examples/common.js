/** Shared by the examples: printing, vectors, and running ops on the engine. */
import { differentiate } from '../../dist/autodiff/gradients.js';
import { plan } from '../../dist/autodiff/plan.js';
import { createTape } from '../../dist/autodiff/tape.js';
import { Layout } from '../../dist/engine/memory.js';
import { createReferenceBackend } from '../../dist/engine/reference/backend.js';
import { llamaDefaults } from '../../dist/model/architectures/llama-config.js';
import { elements } from '../../dist/model/parameters.js';

export const out = (text = '') => process.stdout.write(`${text}\n`);
export const title = (text) => out(`\n${text}\n${'-'.repeat(text.length)}`);
export const fixed = (x, digits = 3) =>
  x
    .toFixed(digits)
    .replace(/^-(0\.?0*)$/, '$1')
    .replace('-', '−');
export const list = (xs, digits) => Array.from(xs, (x) => fixed(x, digits)).join('  ');
export const sum = (xs) => xs.reduce((a, b) => a + b, 0);
export const dot = (a, b) => sum(a.map((x, i) => x * b[i]));
export const zeros = (n) => Array.from({ length: n }, () => 0);
export const ones = (n) => Array.from({ length: n }, () => 1);
export const norm = (a) => Math.sqrt(dot(a, a));
export const rms = (a) => norm(a) / Math.sqrt(a.length);

/** Throws unless the engine's numbers agree with those computed here. */
export function agree(what, ours, engine, tolerance = 1e-9) {
  const worst = Math.max(...ours.map((x, i) => Math.abs(x - engine[i])));
  if (ours.length !== engine.length || !(worst < tolerance))
    throw new Error(`${what}: ${ours} here, ${engine} in the engine`);
}

/**
 * Runs an op on the engine.
 *
 * @param inputs [shape, numbers] by name; those named in `integers` are int32 and have no gradient
 * @param dOut the gradient of the result; all gradients are 0 without it
 */
export async function runOp(record, inputs, { dOut, integers = [] } = {}) {
  const device = createReferenceBackend('float64');
  const layout = new Layout();
  const tape = createTape();
  const places = Object.entries(inputs).map(([name, [shape, numbers]]) => {
    const isInteger = integers.includes(name);
    const region = layout.allocate(numbers.length, isInteger ? 'i32' : 'f32');
    const value = tape.external(name, shape, region, !isInteger);
    return { name, numbers, isInteger, region, value, gradient: layout.allocate(numbers.length) };
  });
  const y = record(tape, Object.fromEntries(places.map(({ name, value }) => [name, value])));
  const length = elements(y.shape);
  const seed = layout.allocate(length);
  const trained = places.filter(({ isInteger }) => !isInteger);
  differentiate(
    tape,
    y,
    tape.external('dOut', y.shape, seed),
    new Map(trained.map(({ value, gradient }) => [value, gradient])),
  );
  const program = plan(tape.nodes, layout.end, [y]);
  device.reserve(program.end);
  for (const { region, numbers, isInteger } of places)
    device.write(region.offset, isInteger ? Int32Array.from(numbers) : Float64Array.from(numbers));
  device.write(seed.offset, Float64Array.from(dOut ?? zeros(length)));
  device.load(program.instructions).submit();
  const read = async ({ offset }, n) => Array.from(await device.read(offset, new Float64Array(n)));
  const gradients = {};
  for (const { name, gradient } of trained) gradients[name] = await read(gradient, gradient.length);
  return { y: await read(program.buffer(y), length), gradients };
}

/** Central differences of Σ dOut·f(x). */
export const slope = (f, x, dOut, h = 1e-5) =>
  x.map((_, i) => {
    const shifted = (by) => dot(f(x.map((each, j) => (i === j ? each + by : each))), dOut);
    return (shifted(h) - shifted(-h)) / (2 * h);
  });

export const EPSILON = llamaDefaults.rmsNormEpsilon;
/** RMSNorm with weights of 1. */
export const rmsNorm = (x) => {
  const rstd = 1 / Math.sqrt(dot(x, x) / x.length + EPSILON);
  return x.map((each) => each * rstd);
};

/** A small Qwen3. */
export const small = {
  ...llamaDefaults,
  arch: 'qwen3',
  vocabSize: 65,
  blockSize: 128,
  nLayer: 4,
  nHead: 4,
  nEmbd: 128,
  dropout: 0,
};
