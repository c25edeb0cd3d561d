/** Optimizer updates, and the normalizations of Muon. Formulas and sources: signatures.ts, train/optimizer.ts, train/muon.ts. */
import { HYPER } from '../../signatures.ts';
import { elementwise, REDUCTIONS, rowwise, SIZE } from '../wgsl.ts';
import type { KernelDispatches } from '../dispatch.ts';
import { blocksOf } from './column-sums.ts';
import { overElements } from './elementwise.ts';

/** `hyper(SLOT)`. */
const HYPERPARAMETERS = /* wgsl */ `
fn hyper(slot: u32) -> f32 { return memory[args.hyper + slot]; }
${Object.entries(HYPER)
  .map(([name, slot]) => `const ${name} = ${slot}u;`)
  .join('\n')}
`;
const UNLESS_STOPPED = 'if (hyper(stopped) != 0.0) { return; }';
/** The gradient scaled by min(1, clip/norm). */
const CLIPPING = /* wgsl */ `
fn clipped(gradient: f32) -> f32 {
  let norm = memory[args.norm];
  let limit = hyper(clip);
  return gradient * select(1.0, limit / norm, limit > 0.0 && norm > limit);
}
`;
/** x·(1 − lr·weightDecay) for the first `decayed` elements, x for the others. */
const DECAY = /* wgsl */ `
fn shrunk(x: f32, i: u32) -> f32 {
  return select(x, x * (1.0 - hyper(learningRate) * hyper(weightDecay)), i < args.decayed);
}
`;

/** Non-finite values are detected by their bits: WGSL lets compilers assume that there is no NaN and no infinity. */
const checkShader =
  HYPERPARAMETERS +
  `fn isFinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }` +
  elementwise(
    `let sum = memory[args.lossSum];
  let norm = memory[args.norm];
  if (!isFinite(sum) || !isFinite(norm) || sum > hyper(lossLimit)) { memory[args.hyper + stopped] = 1.0; }
  memory[args.verdict] = norm;
  memory[args.verdict + 1u] = hyper(stopped);`,
    '1u',
  );
export const checkStep: KernelDispatches<'checkStep'> = (args) => [
  { kernel: 'checkStep', args, shader: checkShader, workgroups: 1 },
];

export const adamw = overElements(
  'adamw',
  `${UNLESS_STOPPED}
  let g = clipped(memory[args.dX + i]);
  let m = hyper(beta1) * memory[args.m + i] + hyper(oneMinusBeta1) * g;
  let v = hyper(beta2) * memory[args.v + i] + hyper(oneMinusBeta2) * g * g;
  memory[args.m + i] = m;
  memory[args.v + i] = v;
  let root = sqrt(v / hyper(correction2)) + hyper(epsilon);
  memory[args.x + i] = shrunk(memory[args.x + i], i) - hyper(learningRate) * (m / hyper(correction1)) / root;`,
  HYPERPARAMETERS + CLIPPING + DECAY,
);

export const sgd = overElements(
  'sgd',
  `${UNLESS_STOPPED}
  let x = memory[args.x + i];
  let decay = select(0.0, hyper(weightDecay) * x, i < args.decayed);
  let m = hyper(momentum) * memory[args.m + i] + clipped(memory[args.dX + i]) + decay;
  memory[args.m + i] = m;
  memory[args.x + i] = x - hyper(learningRate) * m;`,
  HYPERPARAMETERS + CLIPPING,
);

export const lion = overElements(
  'lion',
  `${UNLESS_STOPPED}
  let g = clipped(memory[args.dX + i]);
  let m = memory[args.m + i];
  let direction = sign(hyper(beta1) * m + hyper(oneMinusBeta1) * g);
  memory[args.x + i] = shrunk(memory[args.x + i], i) - hyper(learningRate) * direction;
  memory[args.m + i] = hyper(beta2) * m + hyper(oneMinusBeta2) * g;`,
  HYPERPARAMETERS + CLIPPING + DECAY,
);

export const muonMomentum = overElements(
  'muonMomentum',
  `${UNLESS_STOPPED}
  let rest = hyper(oneMinusMomentum);
  let g = clipped(memory[args.dX + i]);
  let m = hyper(momentum) * memory[args.m + i] + rest * g;
  memory[args.m + i] = m;
  memory[args.u + i] = rest * g + hyper(momentum) * m;`,
  HYPERPARAMETERS + CLIPPING,
);

export const normalize = overElements(
  'normalize',
  'memory[args.y + i] = memory[args.x + i] / max(memory[args.norm], 1e-7);',
);

/** One workgroup per row. */
const normalizeRowsShader = `${REDUCTIONS}${rowwise(`
  var squares = 0.0;
  for (var c = local; c < args.C; c += ${SIZE}u) {
    let x = memory[args.x + row * args.C + c];
    squares += x * x;
  }
  let length = max(sqrt(sumOfGroup(squares, local)), 1e-7);
  for (var c = local; c < args.C; c += ${SIZE}u) {
    let i = row * args.C + c;
    memory[args.y + i] = memory[args.x + i] / length;
  }`)}`;
export const normalizeRows: KernelDispatches<'normalizeRows'> = (args) => [
  { kernel: 'normalizeRows', args, shader: normalizeRowsShader, workgroups: args.N },
];

/** The squares are summed in blocks of rows, as by columnSums, but stay in scratch memory. */
export const normalizeColumns: KernelDispatches<'normalizeColumns'> = (args) => {
  const kernel = 'normalizeColumns';
  const { N, C } = args;
  const { perBlock, blocks } = blocksOf(N);
  const sums = elementwise(
    `var squares = 0.0;
  let first = i / ${C}u * ${perBlock}u;
  for (var row = first; row < min(first + ${perBlock}u, args.N); row++) {
    let x = memory[args.x + row * ${C}u + i % ${C}u];
    squares += x * x;
  }
  scratch[i] = squares;`,
    `${blocks * C}u`,
  );
  const lengths = elementwise(
    `var squares = 0.0;
  for (var block = 0u; block < ${blocks}u; block++) { squares += scratch[block * ${C}u + i]; }
  scratch[i] = max(sqrt(squares), 1e-7);`,
    `${C}u`,
  );
  const divided = elementwise(`memory[args.y + i] = memory[args.x + i] / scratch[i % ${C}u];`, `${N * C}u`);
  const scratch = blocks * C;
  return [
    { kernel, args, shader: sums, workgroups: Math.ceil(scratch / SIZE), scratch },
    { kernel, args, shader: lengths, workgroups: Math.ceil(C / SIZE), scratch },
    { kernel, args, shader: divided, workgroups: Math.ceil((N * C) / SIZE), scratch },
  ];
};

const polynomial = elementwise(
  `let diagonal = select(0.0, args.alpha, i / args.M == i % args.M);
  memory[args.y + i] = args.beta * memory[args.a + i] + args.gamma * memory[args.square + i] + diagonal;`,
  'args.M * args.M',
);
export const matrixPolynomial: KernelDispatches<'matrixPolynomial'> = (args) => [
  {
    kernel: 'matrixPolynomial',
    args,
    shader: polynomial,
    workgroups: Math.ceil((args.M * args.M) / SIZE),
  },
];

export const muonUpdate = overElements(
  'muonUpdate',
  `${UNLESS_STOPPED}
  let rate = hyper(matrixLearningRate);
  let kept = 1.0 - rate * hyper(weightDecay);
  memory[args.x + i] = memory[args.x + i] * kept - rate * args.scale * memory[args.o + i];`,
  HYPERPARAMETERS,
);

export const movingAverage = overElements(
  'movingAverage',
  `${UNLESS_STOPPED}
  let average = memory[args.average + i];
  memory[args.average + i] = average + hyper(averageRate) * (memory[args.x + i] - average);`,
  HYPERPARAMETERS,
);
