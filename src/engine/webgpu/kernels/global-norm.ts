/**
 * The norm of all gradients, without float64: each sum is an unevaluated sum of two float32, which has 48 bits (Dekker 1971;
 * Knuth, The Art of Computer Programming, volume 2, section 4.2.2).
 *
 * `exact` hides a number from the compiler, which might otherwise simplify (a + b) − a to b. The halves of a factor are cut off
 * by their bits.
 */
import { NORM_BLOCK } from '../../signatures.ts';
import type { KernelDispatches } from '../dispatch.ts';
import { rowwise, SIZE } from '../wgsl.ts';

const PAIRS = /* wgsl */ `
fn exact(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ args.zero); }

/** a + b without error. */
fn twoSum(a: f32, b: f32) -> vec2<f32> {
  let sum = exact(a + b);
  let part = exact(sum - a);
  let rest = exact(sum - part);
  return vec2(sum, exact(a - rest) + exact(b - part));
}

/** a² without error. */
fn square(a: f32) -> vec2<f32> {
  let high = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
  let low = exact(a - high);
  let product = exact(a * a);
  let error = exact(exact(high * high) - product) + exact(2.0 * high * low);
  return vec2(product, exact(error) + low * low);
}

fn addPairs(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  let sum = twoSum(a.x, b.x);
  let low = exact(sum.y + exact(a.y + b.y));
  let high = exact(sum.x + low);
  return vec2(high, exact(low - exact(high - sum.x)));
}

var<workgroup> pairs: array<vec2<f32>, ${SIZE}>;

fn pairOfGroup(value: vec2<f32>, local: u32) -> vec2<f32> {
  pairs[local] = value;
  for (var width = ${SIZE / 2}u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (local < width) { pairs[local] = addPairs(pairs[local], pairs[local + width]); }
  }
  workgroupBarrier();
  return pairs[0];
}
`;

const partial = `${PAIRS}${rowwise(
  `var sum = vec2(0.0, 0.0);
  let end = min((row + 1u) * ${NORM_BLOCK}u, args.n);
  for (var i = row * ${NORM_BLOCK}u + local; i < end; i += ${SIZE}u) {
    sum = addPairs(sum, square(memory[args.x + i]));
  }
  sum = pairOfGroup(sum, local);
  if (local == 0u) {
    memory[args.partials + 2u * row] = sum.x;
    memory[args.partials + 2u * row + 1u] = sum.y;
  }`,
  `(args.n + ${NORM_BLOCK - 1}u) / ${NORM_BLOCK}u`,
)}`;

/** One step of Newton's method from the float32 square root gives the last bit. */
const total = `${PAIRS}${rowwise(
  `var sum = vec2(0.0, 0.0);
  for (var i = local; i < (args.n + ${NORM_BLOCK - 1}u) / ${NORM_BLOCK}u; i += ${SIZE}u) {
    sum = addPairs(sum, vec2(memory[args.partials + 2u * i], memory[args.partials + 2u * i + 1u]));
  }
  sum = pairOfGroup(sum, local);
  if (local == 0u) {
    let root = sqrt(sum.x);
    let squared = square(root);
    let rest = exact(exact(exact(sum.x - squared.x) - squared.y) + sum.y);
    memory[args.norm] = root + select(0.0, rest / (2.0 * root), root > 0.0);
  }`,
  '1u',
)}`;

export const globalNorm: KernelDispatches<'globalNorm'> = (args) => [
  { kernel: 'globalNorm', args, shader: partial, workgroups: Math.ceil(args.n / NORM_BLOCK) },
  { kernel: 'globalNorm', args, shader: total, workgroups: 1 },
];
