/** Kernels that compute each element by itself. Formulas: signatures.ts and the ops of the same names in autodiff/ops/. */
import { SIZE, elementwise, EXPONENTIALS, PHILOX } from '../wgsl.ts';
import type { KernelDispatches } from '../dispatch.ts';
import type { KernelName } from '../../signatures.ts';

type WithLength = {
  [K in KernelName]: 'n' extends keyof Parameters<KernelDispatches<K>>[0] ? K : never;
}[KernelName];

/** A kernel over n elements. @param body statements that use the index `i` */
export function overElements<K extends WithLength>(
  kernel: K,
  body: string,
  functions = '',
): KernelDispatches<K> {
  const shader = functions + elementwise(body);
  return (args) => [
    { kernel, args, shader, workgroups: Math.ceil((args as unknown as { n: number }).n / SIZE) },
  ];
}

/** √(2/π)(x + 0.044715x³) */
const GELU = /* wgsl */ `
fn geluTanh(x: f32) -> f32 { return hyperbolicTangent(0.7978845608 * (x + 0.044715 * x * x * x)); }
`;

/**
 * Φ(x) = ½(1 + erf(x/√2)). erfc of |x|/√2 = z is τ·e^(−z² + polynomial(τ)), τ = 1/(1 + z/2), with a relative error of 1.2e−7
 * (Press et al., Numerical Recipes, section 6.2); −z² is split so that its rounding is not magnified.
 */
const NORMAL_DISTRIBUTION = /* wgsl */ `
fn normalDistribution(x: f32) -> f32 {
  let z = abs(x) * 0.70710678;
  if (z < 0.5) { // erf by its series: the terms fall by at least a factor of 4
    let s = z * z;
    let series = 1.0 - s * (0.333333333 - s * (0.1 - s * (0.0238095238 - s * (0.00462962963 - s * (0.000757575758 - s * 0.000106837607)))));
    let half = 0.564189584 * z * series;
    return select(0.5 - half, 0.5 + half, x > 0.0);
  }
  let t = 1.0 / (1.0 + 0.5 * z);
  var p = 0.17087277;
  p = p * t - 0.82215223;
  p = p * t + 1.48851587;
  p = p * t - 1.13520398;
  p = p * t + 0.27886807;
  p = p * t - 0.18628806;
  p = p * t + 0.09678418;
  p = p * t + 0.37409196;
  p = p * t + 1.00002368;
  let tail = 0.5 * t * exponential(-z * z - 1.26551223 + t * p);
  return select(tail, 1.0 - tail, x > 0.0);
}
`;

export const add = overElements('add', 'memory[args.y + i] = memory[args.a + i] + memory[args.b + i];');
export const copy = overElements('copy', 'put(args.y + i, memory[args.x + i], args.y_accumulates);');
export const scale = overElements(
  'scale',
  'put(args.y + i, args.factor * memory[args.x + i], args.y_accumulates);',
);

/** y = ½x(1 + tanh u). */
export const gelu = overElements(
  'gelu',
  `let x = memory[args.x + i];
  memory[args.y + i] = 0.5 * x * (1.0 + geluTanh(x));`,
  EXPONENTIALS + GELU,
);
/** dX (+)= dY·(½(1 + tanh u) + ½x(1 − tanh² u)·du/dx). */
export const geluBackward = overElements(
  'geluBackward',
  `let x = memory[args.x + i];
  let t = geluTanh(x);
  let dU = 0.7978845608 * (1.0 + 3.0 * 0.044715 * x * x);
  put(args.dX + i, memory[args.dY + i] * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * dU), args.dX_accumulates);`,
  EXPONENTIALS + GELU,
);

/** y = x·Φ(x). */
export const geluErf = overElements(
  'geluErf',
  `let x = memory[args.x + i];
  memory[args.y + i] = x * normalDistribution(x);`,
  EXPONENTIALS + NORMAL_DISTRIBUTION,
);
/** dX (+)= dY·(Φ(x) + x·φ(x)). */
export const geluErfBackward = overElements(
  'geluErfBackward',
  `let x = memory[args.x + i];
  let density = 0.39894228 * exponential(-0.5 * x * x);
  put(args.dX + i, memory[args.dY + i] * (normalDistribution(x) + x * density), args.dX_accumulates);`,
  EXPONENTIALS + NORMAL_DISTRIBUTION,
);

/** y = max(x, 0), by the sign bit: WGSL's max may turn NaN into 0. */
export const relu = overElements(
  'relu',
  `let bits = bitcast<u32>(memory[args.x + i]);
  memory[args.y + i] = bitcast<f32>(select(bits, 0u, bits >= 0x80000000u && bits <= 0xff800000u));`,
);
export const reluBackward = overElements(
  'reluBackward',
  'put(args.dX + i, select(0.0, memory[args.dY + i], memory[args.x + i] > 0.0), args.dX_accumulates);',
);

/** y = gate·σ(gate)·up. */
export const swiglu = overElements(
  'swiglu',
  `let gate = memory[args.gate + i];
  memory[args.y + i] = gate * sigmoid(gate) * memory[args.up + i];`,
  EXPONENTIALS,
);
/** dGate (+)= dY·up·σ(1 + gate(1 − σ)), dUp (+)= dY·gate·σ; dUp may be written over dY. */
export const swigluBackward = overElements(
  'swigluBackward',
  `let gate = memory[args.gate + i];
  let d = memory[args.dY + i];
  let s = sigmoid(gate);
  put(args.dGate + i, d * memory[args.up + i] * s * (1.0 + gate * (1.0 - s)), args.dGate_accumulates);
  put(args.dUp + i, d * gate * s, args.dUp_accumulates);`,
  EXPONENTIALS,
);

/** y (+)= x·mask·scale; one invocation computes the random word of one element. */
export const dropout = overElements(
  'dropout',
  `let kept = maskWord(i / 4u, i % 4u) >= args.threshold;
  put(args.y + i, select(0.0, memory[args.x + i] * args.scale, kept), args.y_accumulates);`,
  PHILOX,
);
