/** Rotary position embeddings. Formulas: autodiff/ops/rotary.ts. */
import type { KernelDispatches } from '../dispatch.ts';
import { elementwise, MULTIPLY_HIGH, SIZE } from '../wgsl.ts';

/**
 * cos x and sin x of 0 ≤ |x| < 2²⁴. WGSL's own are accurate to 2⁻¹¹, on [−π, π]. x/(π/2) is taken modulo 4 in integers: the
 * 24 bits of x's significand times the bits of 2/π that matter (Payne and Hanek 1983), which no compiler can rearrange. Then
 * Cephes' polynomials on [−π/4, π/4].
 */
const COSINE_AND_SINE = /* wgsl */ `
${MULTIPLY_HIGH}
/** 2/π = 0.A2F9836E4E441529FC27… in base 16. */
const TWO_OVER_PI = array(0u, 0xA2F9836Eu, 0x4E441529u, 0xFC2757D1u);

/** The 32 bits of 2/π that begin 32 bits before bit number first of the fraction. */
fn bitsOfTwoOverPi(first: u32) -> u32 {
  var words = TWO_OVER_PI;
  let word = first / 32u;
  let shift = first % 32u;
  if (shift == 0u) { return words[word]; }
  return (words[word] << shift) | (words[word + 1u] >> (32u - shift));
}

fn cosineAndSine(x: f32) -> vec2<f32> {
  let bits = bitcast<u32>(abs(x));
  let exponent = bits >> 23u;
  var quadrant = 0u;
  var r = abs(x);
  if (r > 0.78539816) {
    // x·(2/π)·2³⁰ = significand·(2/π)·2^shift modulo 2³²: 2 bits of the quadrant, then 30 bits of the fraction.
    let significand = (bits & 0x7fffffu) | 0x800000u;
    let shift = exponent - 120u;
    let high = bitsOfTwoOverPi(shift);
    let low = bitsOfTwoOverPi(shift + 32u);
    let turns = significand * high + multiplyHigh(significand, low);
    let rounded = turns + 0x20000000u;
    quadrant = rounded >> 30u;
    r = f32(bitcast<i32>((rounded & 0x3fffffffu) - 0x20000000u)) * 1.4629180793e-9; // π/2·2⁻³⁰
  }
  let z = r * r;
  let sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
  let cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  let isOdd = (quadrant & 1u) == 1u;
  let sineOfX = select(sine, cosine, isOdd);
  let cosineOfX = select(cosine, sine, isOdd);
  let signed = select(sineOfX, -sineOfX, ((quadrant & 2u) == 2u) != (x < 0.0));
  return vec2(select(cosineOfX, -cosineOfX, quadrant == 1u || quadrant == 2u), signed);
}
`;

/** One invocation computes the cosine and the sine of one angle. */
const tableShader =
  COSINE_AND_SINE +
  elementwise(
    `let half = args.D / 2u;
  let n = i / half;
  let f = i % half;
  let angle = f32(intAt(args.positions + n)) * constants[args.frequencies + f];
  let both = cosineAndSine(angle) * args.scale;
  memory[args.table + n * args.D + f] = both.x;
  memory[args.table + n * args.D + half + f] = both.y;`,
    'args.B * args.T * (args.D / 2u)',
  );
export const rotaryTable: KernelDispatches<'rotaryTable'> = (args) => [
  {
    kernel: 'rotaryTable',
    args,
    shader: tableShader,
    workgroups: Math.ceil((args.B * args.T * args.D) / 2 / SIZE),
  },
];

/** One invocation rotates one pair; both are read before either is written, since y may be x. */
const rotaryShader = elementwise(
  `let half = args.D / 2u;
  let f = i % half;
  let head = i / half;
  let angles = args.table + head / args.H * args.D + f;
  let at = head * args.D + f;
  let a = memory[args.x + at];
  let b = memory[args.x + at + half];
  let cosine = memory[angles];
  let sine = select(memory[angles + half], -memory[angles + half], args.inverse == 1u);
  put(args.y + at, a * cosine - b * sine, args.y_accumulates);
  put(args.y + at + half, b * cosine + a * sine, args.y_accumulates);`,
  'args.N * args.H * (args.D / 2u)',
);
export const rotary: KernelDispatches<'rotary'> = (args) => [
  {
    kernel: 'rotary',
    args,
    shader: rotaryShader,
    workgroups: Math.ceil((args.N * args.H * args.D) / 2 / SIZE),
  },
];
