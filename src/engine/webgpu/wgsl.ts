/** Functions in WGSL that shaders share. */

/**
 * Memory is one array of float32 (`memory`); integers and packed weights are read through their bits. `scratch` passes data from
 * one dispatch of a kernel to the next. A workgroup of every shader has SIZE invocations unless it says otherwise.
 */
export const DECLARATIONS = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> memory: array<f32>;
@group(0) @binding(1) var<uniform> args: Args;
@group(0) @binding(2) var<storage, read> constants: array<f32>;
@group(0) @binding(3) var<storage, read_write> scratch: array<f32>;

fn intAt(i: u32) -> i32 { return bitcast<i32>(memory[i]); }

fn isPresent(buffer: u32) -> bool { return buffer != 0xffffffffu; }

/** memory[i] (+)= value. */
fn put(i: u32, value: f32, accumulates: u32) {
  if (accumulates == 1u) { memory[i] += value; } else { memory[i] = value; }
}
`;

/** Invocations of a workgroup, where a shader does not say otherwise. */
export const SIZE = 64;

/**
 * A shader that computes element i < n by itself.
 *
 * @param body statements that use `i`
 */
export const elementwise = (body: string, n = 'args.n'): string => /* wgsl */ `
@compute @workgroup_size(${SIZE})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.y * groups.x + group.x) * ${SIZE}u + local;
  if (i >= ${n}) { return; }
  ${body}
}`;

/**
 * A shader in which each workgroup computes one row (`row` < rows); its invocations, `local` of SIZE, divide the columns.
 * Surplus workgroups return at once.
 */
export const rowwise = (body: string, rows = 'args.N'): string => /* wgsl */ `
@compute @workgroup_size(${SIZE})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= ${rows}) { return; }
  ${body}
}`;

/**
 * The sum or the maximum over a workgroup: a tree of fixed shape, so that the same numbers give the same bits. Every
 * invocation must call it, and gets the result.
 */
export const REDUCTIONS = /* wgsl */ `
var<workgroup> reduced: array<f32, ${SIZE}>;

fn sumOfGroup(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  reduced[local] = value;
  for (var width = ${SIZE / 2}u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (local < width) { reduced[local] += reduced[local + width]; }
  }
  workgroupBarrier();
  return reduced[0];
}

fn maxOfGroup(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  reduced[local] = value;
  for (var width = ${SIZE / 2}u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (local < width) { reduced[local] = max(reduced[local], reduced[local + width]); }
  }
  workgroupBarrier();
  return reduced[0];
}
`;

/**
 * eˣ and ln x after Cephes (Moshier 1989), to about 2 units in the last place, and tanh x. WGSL allows `exp` 3 + 2|x| ULP and
 * `log` 2⁻²¹ near 1, and lets compilers assume that there is no NaN: here NaN is found by its bits and passed on, because a
 * diverged run is recognized by it.
 */
export const EXPONENTIALS = /* wgsl */ `
fn isNaN(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

/** x = n·ln 2 + r, a polynomial in r, times 2ⁿ by its bits; 0 below −87.3, e^88.3 above 88.3. */
fn exponential(x: f32) -> f32 {
  if (isNaN(x)) { return x; }
  if (x < -87.3) { return 0.0; }
  let y = min(x, 88.3);
  let n = floor(y * 1.44269504 + 0.5);
  let r = (y - n * 0.693359375) + n * 2.12194440e-4;
  var p = 1.98756915e-4;
  p = p * r + 1.3981999507e-3;
  p = p * r + 8.3334519073e-3;
  p = p * r + 4.1665795894e-2;
  p = p * r + 1.6666665459e-1;
  p = p * r + 5.0000001201e-1;
  p = p * (r * r) + r + 1.0;
  return p * bitcast<f32>((i32(n) + 127) << 23u);
}

/** ln x for normal x > 0: x = 2ᵉ·m with m in [√½, √2), and a polynomial in m − 1. NaN and ∞ are passed on. */
fn logarithm(x: f32) -> f32 {
  let bits = bitcast<i32>(x);
  if ((bits & 0x7fffffff) >= 0x7f800000) { return x; }
  let e = (bits - 0x3f3504f3) >> 23u;
  let m = bitcast<f32>(bits - (e << 23u)) - 1.0;
  let z = m * m;
  var p = 7.0376836292e-2;
  p = p * m - 1.1514610310e-1;
  p = p * m + 1.1676998740e-1;
  p = p * m - 1.2420140846e-1;
  p = p * m + 1.4249322787e-1;
  p = p * m - 1.6668057665e-1;
  p = p * m + 2.0000714765e-1;
  p = p * m - 2.4999993993e-1;
  p = p * m + 3.3333331174e-1;
  let n = f32(e);
  return n * 0.693359375 + (m + (z * -0.5 + (n * -2.12194440e-4 + p * m * z)));
}

/** (e^2x − 1)/(e^2x + 1), with an absolute error of about 1e-7 near 0. */
fn hyperbolicTangent(x: f32) -> f32 { return 1.0 - 2.0 / (exponential(2.0 * x) + 1.0); }

fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exponential(-x)); }
`;

/** The upper half of a product of two words, which WGSL does not have, through halves of 16 bits. */
export const MULTIPLY_HIGH = /* wgsl */ `
fn multiplyHigh(a: u32, b: u32) -> u32 {
  let aLow = a & 0xffffu;
  let aHigh = a >> 16u;
  let bLow = b & 0xffffu;
  let bHigh = b >> 16u;
  let middle = aHigh * bLow + ((aLow * bLow) >> 16u);
  let cross = aLow * bHigh + (middle & 0xffffu);
  return aHigh * bHigh + (middle >> 16u) + (cross >> 16u);
}
`;

/** Philox4x32-10, see engine/philox.ts. */
export const PHILOX = /* wgsl */ `
${MULTIPLY_HIGH}

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var key = seed;
  for (var round = 0; round < 10; round++) {
    let high0 = multiplyHigh(0xd2511f53u, c.x);
    let high1 = multiplyHigh(0xcd9e8d57u, c.z);
    c = vec4(high1 ^ c.y ^ key.x, 0xcd9e8d57u * c.z, high0 ^ c.w ^ key.y, 0xd2511f53u * c.x);
    key += vec2(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

/** The random word of element 4·block + lane. */
fn maskWord(block: u32, lane: u32) -> u32 {
  let at = args.rng;
  let counter = vec4(block, args.site, u32(intAt(at + 2u)), u32(intAt(at + 3u)));
  return philox(counter, vec2(u32(intAt(at)), u32(intAt(at + 1u))))[lane];
}
`;

/** A float in WGSL. */
export const literal = (x: number): string => `${x.toExponential()}f`;

/**
 * Rounded to float16, beyond its range to the largest number. What is not finite becomes NaN, because a diverged run is
 * recognized by it.
 */
export const TO_HALF = /* wgsl */ `
fn toHalf(x: f32) -> f16 {
  if ((bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u) { return bitcast<vec2<f16>>(0x7e00u | args.zero).x; }
  return f16(clamp(x, -65504.0, 65504.0));
}`;
