/** Computes the numbers of docs/understanding/muon.md. */
import { plan } from '../../dist/autodiff/plan.js';
import { createTape } from '../../dist/autodiff/tape.js';
import { costOf } from '../../dist/engine/cost.js';
import { Layout } from '../../dist/engine/memory.js';
import { createReferenceBackend } from '../../dist/engine/reference/backend.js';
import { HYPER, HYPER_SLOTS } from '../../dist/engine/signatures.js';
import { initialize } from '../../dist/model/initialize.js';
import { elements, parameterTable } from '../../dist/model/parameters.js';
import { recordMuon } from '../../dist/train/muon.js';
import { trainingPrograms } from '../../dist/train/programs.js';
import { out, title, fixed, list, sum, norm, rms, zeros, ones, agree, small } from './common.js';
import { ALPHA, BETA, course, GAMMA, polynomial } from './newton-schulz.js';

/** Products of 2×2 matrices [a, b, c, d]. */
const times = ([a, b, c, d], [e, f, g, h]) => [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
const transposed = ([a, b, c, d]) => [a, c, b, d];
const singularValues = (x) => {
  const [p, q, , r] = times(transposed(x), x);
  const spread = Math.sqrt(((p - r) / 2) ** 2 + q * q);
  return [Math.sqrt((p + r) / 2 + spread), Math.sqrt(Math.max(0, (p + r) / 2 - spread))];
};

/** One update of a zero matrix, computed by the engine. */
async function muonStep(shape, gradient, { isTransposed, momentum, learningRate, weights }) {
  const device = createReferenceBackend('float64');
  const layout = new Layout();
  const tape = createTape();
  const n = elements(shape);
  const [x, dX, m] = ['x', 'dX', 'm'].map((name) => tape.external(name, shape, layout.allocate(n)));
  const hyper = tape.external('hyper', [HYPER_SLOTS], layout.allocate(HYPER_SLOTS));
  const length = tape.external('norm', [1], layout.allocate(1));
  recordMuon(tape, { x, dX, m, shape, isTransposed, hyper, norm: length }, 'matrix');
  const program = plan(tape.nodes, layout.end);
  device.reserve(program.end);
  const slots = new Float64Array(HYPER_SLOTS);
  slots[HYPER.momentum] = momentum;
  slots[HYPER.oneMinusMomentum] = 1 - momentum;
  slots[HYPER.matrixLearningRate] = learningRate;
  for (const [{ region }, numbers] of [
    [x, weights],
    [dX, gradient],
    [m, zeros(n)],
    [hyper, slots],
    [length, [norm(gradient)]],
  ])
    device.write(region.offset, Float64Array.from(numbers));
  device.load(program.instructions).submit();
  return Array.from(await device.read(x.region.offset, new Float64Array(n)));
}

title('Muon');
{
  out(`coefficients ${ALPHA} ${BETA} ${GAMMA}`);
  const u = [4, 2, 1, 1];
  out(
    `momentum 4 2 1 1: singular values ${list(singularValues(u))}, ratio ${fixed(singularValues(u)[0] / singularValues(u)[1], 1)}, norm ${fixed(norm(u))}`,
  );
  let X = u.map((each) => each / norm(u));
  out(`after 0: X ${list(X)}; singular values ${list(singularValues(X))}`);
  for (let i = 1; i <= 5; i++) {
    const expected = singularValues(X).map(polynomial);
    const A = times(X, transposed(X));
    const square = times(A, A);
    X = times(
      A.map((a, at) => BETA * a + GAMMA * square[at] + (at === 0 || at === 3 ? ALPHA : 0)),
      X,
    );
    agree(
      'polynomial of the singular values',
      expected.toSorted((a, b) => b - a),
      singularValues(X),
    );
    out(`after ${i}: X ${list(X)}; singular values ${list(expected)}`);
  }
  const [a, b, c, d] = u;
  const polar = [a + d, b - c, c - b, a + d].map((each) => each / Math.hypot(a + d, b - c));
  out(`U·Vᵀ exactly: ${list(polar)}`);
  const step = await muonStep([2, 2], u, {
    isTransposed: true,
    momentum: 0.95,
    learningRate: 0.02,
    weights: [0, 0, 0, 0],
  });
  agree(
    'Muon',
    X.map((each) => -0.02 * each),
    step,
  );
  out(`first step from 0 at 0.02: ${list(step, 4)}`);

  for (const s of [1, 0.5, 0.1, 0.01, 0.001]) out(`singular value ${s}: ${list(course(s))}`);
  let [least, most] = [Infinity, 0];
  for (let s = 0.01; s <= 1; s += 1e-5) {
    const end = course(s).at(-1);
    [least, most] = [Math.min(least, end), Math.max(most, end)];
  }
  out(`five iterations move 0.01 … 1 into ${fixed(least, 2)} … ${fixed(most, 2)}`);

  const C = small.nEmbd;
  const table = parameterTable(small);
  const matrix = table.findIndex(({ name }) => name === 'layers.0.self_attn.q_proj.weight');
  for (const initialization of ['gpt2', 'fan-in']) {
    const tensors = table.map(({ name, shape }) => {
      const numbers = new Float64Array(elements(shape));
      return { name, shape, numbers, write: (data, at = 0) => numbers.set(data, at) };
    });
    initialize(small, 1, tensors, { initialization });
    const { numbers, shape } = tensors[matrix];
    const apply = (x) =>
      Array.from({ length: C }, (_, n) => sum(x.map((each, k) => each * numbers[n * C + k])));
    const applyTransposed = (y) =>
      Array.from({ length: C }, (_, k) => sum(y.map((each, n) => each * numbers[n * C + k])));
    let direction = ones(C);
    for (let i = 0; i < 300; i++) {
      direction = applyTransposed(apply(direction));
      const length = norm(direction);
      direction = direction.map((each) => each / length);
    }
    const sign = (k) => (k % 3 === 0 ? -1 : 1);
    out(
      `${initialization}: q_proj [${shape.join(', ')}] standard deviation ${fixed(rms(Array.from(numbers)), 4)}, largest singular value ${fixed(norm(apply(direction)), 2)}, input of root mean square 1 gives ${fixed(rms(apply(Array.from({ length: C }, (_, k) => sign(k)))), 2)}`,
    );
  }
  out(
    `1/√${C} = ${fixed(1 / Math.sqrt(C), 4)}; entries of an orthogonal ${C} × ${C} matrix have that root mean square, so a step of 0.02 changes a weight by ${fixed(0.02 / Math.sqrt(C), 5)}`,
  );
  const F = table.find(({ name }) => name === 'layers.0.mlp.up_proj.weight').shape[0];
  out(`√(${F}/${C}) = ${fixed(Math.sqrt(F / C), 3)}`);

  const flops = (instructions) => sum(instructions.map((each) => costOf(each).flops));
  const { update, forwardBackward } = trainingPrograms({
    config: small,
    batchSize: 6,
    microBatches: 1,
    optimizer: 'muon',
  });
  const gemms = update.instructions.filter(({ kernel }) => kernel.startsWith('gemm'));
  const [spent, step768] = [flops(gemms), flops(forwardBackward.instructions)];
  out(
    `${gemms.length} GEMMs of ${fixed(spent / 1e9, 2)} GFLOP in an update, forward and backward over 768 tokens ${fixed(step768 / 1e9, 2)} GFLOP: ${fixed(spent / step768, 2)}`,
  );
}
