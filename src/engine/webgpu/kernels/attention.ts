/**
 * Causal attention without the T×T matrix (FlashAttention, Dao et al. 2022): tiles of TILE queries by TILE keys. A workgroup of
 * 16×16 invocations keeps the scores of a tile, of which each invocation has 2×2. Products over the head's channels and over the
 * positions of a tile pass through workgroup memory, TILE channels at a time.
 *
 * Forward: a workgroup has a tile of queries and loops over the tiles of keys with a running maximum and sum. Backward: a first
 * dispatch computes Σ dP·P = dOut·out per row, a second dQ (a workgroup has queries), a third dK and dV (a workgroup has keys, and
 * loops over the query heads of its group in order). Nothing is added up by several workgroups, so the bits are reproducible.
 */
import type { KernelDispatches } from '../dispatch.ts';
import { EXPONENTIALS, PHILOX, REDUCTIONS, rowwise, SIZE } from '../wgsl.ts';

const TILE = 32;
const ROW = TILE + 1;
const EDGE = 16;

/** What a shader is specialized for. */
interface Variant {
  readonly D: number;
  readonly hasDropout: boolean;
}

/** `text` for each chunk of TILE channels. */
const chunks = ({ D }: Variant, text: (chunk: number) => string): string =>
  Array.from({ length: Math.ceil(D / TILE) }, (_, chunk) => text(chunk)).join('\n');

const TILES = /* wgsl */ `
var<workgroup> left: array<f32, ${TILE * ROW}>;
var<workgroup> right: array<f32, ${TILE * ROW}>;
var<workgroup> weights: array<f32, ${TILE * ROW}>;
const NONE = -1e9;

/** Element [line, c] of ${TILE} channels from \`first\` on of a tile's rows; 0 outside. */
fn tileElement(at: u32, stride: u32, count: u32, line: u32, channel: u32) -> f32 {
  if (line >= count || channel >= args.D) { return 0.0; }
  return memory[at + line * stride + channel];
}

/** Products of the rows y, y + 16 of one tile with the rows x, x + 16 of another: (y,x), (y,x + 16), (y + 16,x), (y + 16,x + 16). */
fn dots(leftAt: u32, leftStride: u32, leftCount: u32,
        rightAt: u32, rightStride: u32, rightCount: u32, x: u32, y: u32) -> vec4<f32> {
  var sums = vec4(0.0);
  for (var first = 0u; first < args.D; first += ${TILE}u) {
    workgroupBarrier();
    for (var e = ${EDGE}u * y + x; e < ${TILE * TILE}u; e += ${EDGE * EDGE}u) {
      let line = e / ${TILE}u;
      let c = e % ${TILE}u;
      left[line * ${ROW}u + c] = tileElement(leftAt, leftStride, leftCount, line, first + c);
      right[line * ${ROW}u + c] = tileElement(rightAt, rightStride, rightCount, line, first + c);
    }
    workgroupBarrier();
    for (var c = 0u; c < ${TILE}u; c++) {
      let a = vec2(left[y * ${ROW}u + c], left[(y + ${EDGE}u) * ${ROW}u + c]);
      let b = vec2(right[x * ${ROW}u + c], right[(x + ${EDGE}u) * ${ROW}u + c]);
      sums += a.xxyy * b.xyxy;
    }
  }
  return sums;
}

/** sums + weights·rows for the channels first + x and first + x + 16, of the rows y and y + 16 of the weights. */
fn weighted(sums: vec4<f32>, at: u32, stride: u32, count: u32, first: u32, x: u32, y: u32) -> vec4<f32> {
  var result = sums;
  workgroupBarrier();
  for (var e = ${EDGE}u * y + x; e < ${TILE * TILE}u; e += ${EDGE * EDGE}u) {
    let line = e / ${TILE}u;
    let c = e % ${TILE}u;
    right[line * ${ROW}u + c] = tileElement(at, stride, count, line, first + c);
  }
  workgroupBarrier();
  for (var j = 0u; j < ${TILE}u; j++) {
    let a = vec2(weights[y * ${ROW}u + j], weights[(y + ${EDGE}u) * ${ROW}u + j]);
    let b = vec2(right[j * ${ROW}u + x], right[j * ${ROW}u + x + ${EDGE}u]);
    result += a.xxyy * b.xyxy;
  }
  return result;
}

/** Whether query i attends to key j. */
fn attends(b: u32, i: u32, j: u32) -> bool {
  if (i >= args.T || j > i) { return false; }
  if (isPresent(args.starts)) { return j >= u32(intAt(args.starts + b * args.T + i)); }
  return true;
}

var<workgroup> firstKey: u32;

/** The first tile of keys that the queries from i on attend to: document starts do not decrease. */
fn firstTile(b: u32, i: u32, local: u32) -> u32 {
  if (local == 0u) {
    firstKey = 0u;
    if (isPresent(args.starts)) { firstKey = u32(intAt(args.starts + b * args.T + i)); }
  }
  return workgroupUniformLoad(&firstKey) / ${TILE}u;
}
`;

/** Factor of a probability, 0 or args.scale; `row` counts the rows of [B,H,T]. */
const dropoutFunction = ({ hasDropout }: Variant): string =>
  hasDropout
    ? `${PHILOX}
fn kept(row: u32, j: u32) -> f32 {
  let word = maskWord(row * ((args.T + 3u) / 4u) + j / 4u, j % 4u);
  return select(0.0, args.scale, word >= args.threshold);
}`
    : 'fn kept(row: u32, j: u32) -> f32 { return 1.0; }';

const main = (body: string): string => /* wgsl */ `
@compute @workgroup_size(${EDGE}, ${EDGE})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  let x = at.x;
  let y = at.y;
  ${body}
}`;

/** The four elements of an invocation: index in a vec4, row and column. */
const ELEMENTS = [
  ['x', 'y', 'x'],
  ['y', 'y', `x + ${EDGE}u`],
  ['z', `y + ${EDGE}u`, 'x'],
  ['w', `y + ${EDGE}u`, `x + ${EDGE}u`],
] as const;
const each = (text: (lane: string, row: string, column: string) => string): string =>
  ELEMENTS.map(([lane, row, column]) => text(lane, row, column)).join('\n');

const QUERIES = /* wgsl */ `
  let b = group.y / args.H;
  let h = group.y % args.H;
  let g = h * args.G / args.H;
  let i0 = group.x * ${TILE}u;
  let queries = min(${TILE}u, args.T - i0);
  let q = args.q + (b * args.T + i0) * args.qStride + h * args.D;
  let rows = group.y * args.T + i0;
  let root = 1.0 / sqrt(f32(args.D));`;

const KEYS = /* wgsl */ `
    let j0 = tile * ${TILE}u;
    let keys = min(${TILE}u, args.T - j0);
    let k = args.k + (b * args.T + j0) * args.kStride + g * args.D;
    let v = args.v + (b * args.T + j0) * args.vStride + g * args.D;`;

/**
 * eˣ as 2ⁿ·e^r. The running maximum of a row is that of n: the earlier sums are then rescaled by a power of two, without
 * rounding, so that a row's bits depend neither on where its tiles begin nor on what its document is packed with.
 */
const POWERS = /* wgsl */ `
/** (n, e^r). NaN and ∞ are passed on. */
fn splitExponential(x: f32) -> vec2<f32> {
  if ((bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u) { return vec2(0.0, x); }
  let n = floor(x * 1.44269504 + 0.5);
  return vec2(n, exponential((x - n * 0.693359375) + n * 2.12194440e-4));
}

/** 2ⁿ for n ≤ 0; 0 below 2⁻¹²⁶. */
fn powerOfTwo(n: f32) -> f32 {
  return bitcast<f32>(u32(max(n, -127.0) + 127.0) << 23u);
}

/** ln(2ⁿ·x). */
fn logarithmOf(n: f32, x: f32) -> f32 { return n * 0.693359375 + (logarithm(x) - n * 2.12194440e-4); }
`;

const forwardShader = (variant: Variant): string =>
  EXPONENTIALS +
  POWERS +
  TILES +
  dropoutFunction(variant) +
  main(`${QUERIES}
  ${chunks(variant, (c) => `var out${c} = vec4(0.0);`)}
  var largest = vec2(NONE); // exponent of the rows y and y + 16
  var sums = vec2(0.0);
  for (var tile = firstTile(b, i0, local); tile <= group.x; tile++) {
    ${KEYS}
    let scores = dots(q, args.qStride, queries, k, args.kStride, keys, x, y) * root;
    var exponents = vec4(NONE);
    var p = vec4(0.0);
    ${each(
      (lane, row, column) => `if (attends(b, i0 + ${row}, j0 + ${column})) {
      let power = splitExponential(scores.${lane});
      exponents.${lane} = power.x;
      p.${lane} = power.y;
    }
    weights[(${row}) * ${ROW}u + ${column}] = exponents.${lane};`,
    )}
    workgroupBarrier();
    let before = largest;
    for (var j = 0u; j < ${TILE}u; j++) {
      largest = max(largest, vec2(weights[y * ${ROW}u + j], weights[(y + ${EDGE}u) * ${ROW}u + j]));
    }
    let shrunk = vec2(powerOfTwo(before.x - largest.x), powerOfTwo(before.y - largest.y));
    sums *= shrunk;
    ${chunks(variant, (c) => `out${c} *= shrunk.xxyy;`)}
    let top = largest.xxyy;
    ${each((lane) => `p.${lane} *= powerOfTwo(exponents.${lane} - top.${lane});`)}
    workgroupBarrier();
    ${each((lane, row, column) => `weights[(${row}) * ${ROW}u + ${column}] = p.${lane};`)}
    workgroupBarrier();
    for (var j = 0u; j < ${TILE}u; j++) {
      sums += vec2(weights[y * ${ROW}u + j], weights[(y + ${EDGE}u) * ${ROW}u + j]);
    }
    ${
      variant.hasDropout
        ? `workgroupBarrier();
    ${each((lane, row, column) => `weights[(${row}) * ${ROW}u + ${column}] = p.${lane} * kept(rows + ${row}, j0 + ${column});`)}`
        : ''
    }
    ${chunks(variant, (c) => `out${c} = weighted(out${c}, v, args.vStride, keys, ${c * TILE}u, x, y);`)}
  }
  let sum = sums.xxyy;
  ${each((lane, row, column) =>
    chunks(
      variant,
      (c) => `if (${row} < queries && ${c * TILE}u + ${column} < args.D) {
    memory[args.out + ((b * args.T + i0 + ${row}) * args.H + h) * args.D + ${c * TILE}u + ${column}] = out${c}.${lane} / sum.${lane};
  }`,
    ),
  )}
  if (x == 0u && y < queries) { memory[args.lse + rows + y] = logarithmOf(largest.x, sums.x); }
  if (x == 0u && y + ${EDGE}u < queries) { memory[args.lse + rows + y + ${EDGE}u] = logarithmOf(largest.y, sums.y); }`);

const variantOf = ({ D, threshold }: { readonly D: number; readonly threshold: number }): Variant => ({
  D,
  hasDropout: threshold !== 0,
});

export const attention: KernelDispatches<'attention'> = (args) => [
  {
    kernel: 'attention',
    args,
    shader: forwardShader(variantOf(args)),
    workgroups: [Math.ceil(args.T / TILE), args.B * args.H, 1],
  },
];

/** scratch[row] = Σ_j dP·P = dOut·out, for the rows of [B,H,T]. */
const correctionShader = `${REDUCTIONS}${rowwise(
  `let head = row / args.T;
  let first = ((head / args.H * args.T + row % args.T) * args.H + head % args.H) * args.D;
  var sum = 0.0;
  for (var d = local; d < args.D; d += ${SIZE}u) {
    sum += memory[args.dOut + first + d] * memory[args.out + first + d];
  }
  sum = sumOfGroup(sum, local);
  if (local == 0u) { scratch[row] = sum; }`,
  'args.B * args.H * args.T',
)}`;

/**
 * P = exp(q·kᵀ/√D − lse) and dS = P·(dP − Σ dP·P)/√D with dP = dOut·vᵀ of a tile; `p` has the dropped-out P.
 */
const TILE_GRADIENT = /* wgsl */ `
    let scores = dots(q, args.qStride, queries, k, args.kStride, keys, x, y) * root;
    let products = dots(dOut, args.H * args.D, queries, v, args.vStride, keys, x, y);
    var p = vec4(0.0);
    var dS = vec4(0.0);
    ${each(
      (lane, row, column) => `if (attends(b, i0 + ${row}, j0 + ${column})) {
      let at_ = rows + ${row};
      let factor = kept(at_, j0 + ${column});
      let probability = exponential(scores.${lane} - memory[args.lse + at_]);
      p.${lane} = probability * factor;
      dS.${lane} = probability * (products.${lane} * factor - scratch[at_]) * root;
    }`,
    )}`;

const D_OUT = 'let dOut = args.dOut + ((b * args.T + i0) * args.H + h) * args.D;';

/** Writes a tile of gradients, of which each invocation has 2×2 elements in each chunk. */
const storeTile = (
  variant: Variant,
  name: string,
  { at, stride, count }: Record<'at' | 'stride' | 'count', string>,
): string =>
  each((lane, row, column) =>
    chunks(
      variant,
      (c) => `if (${row} < ${count} && ${c * TILE}u + ${column} < args.D) {
    put(${at} + (${row}) * ${stride} + ${c * TILE}u + ${column}, ${name}${c}.${lane}, args.${name}_accumulates);
  }`,
    ),
  );

const queryGradientShader = (variant: Variant): string =>
  EXPONENTIALS +
  TILES +
  dropoutFunction(variant) +
  main(`${QUERIES}
  ${D_OUT}
  ${chunks(variant, (c) => `var dQ${c} = vec4(0.0);`)}
  for (var tile = firstTile(b, i0, local); tile <= group.x; tile++) {
    ${KEYS}
    ${TILE_GRADIENT}
    ${each((lane, row, column) => `weights[(${row}) * ${ROW}u + ${column}] = dS.${lane};`)}
    ${chunks(variant, (c) => `dQ${c} = weighted(dQ${c}, k, args.kStride, keys, ${c * TILE}u, x, y);`)}
  }
  ${storeTile(variant, 'dQ', {
    at: 'args.dQ + (b * args.T + i0) * args.qStride + h * args.D',
    stride: 'args.qStride',
    count: 'queries',
  })}`);

/** The weights of a tile transposed: a row has one key. */
const transposed = (of: string): string =>
  each((lane, row, column) => `weights[(${column}) * ${ROW}u + ${row}] = ${of}.${lane};`);

const keyGradientShader = (variant: Variant): string =>
  EXPONENTIALS +
  TILES +
  dropoutFunction(variant) +
  main(`let b = group.y / args.G;
  let g = group.y % args.G;
  let tile = group.x;
  let root = 1.0 / sqrt(f32(args.D));
  ${KEYS}
  ${chunks(variant, (c) => `var dK${c} = vec4(0.0); var dV${c} = vec4(0.0);`)}
  let heads = args.H / args.G;
  for (var h = g * heads; h < (g + 1u) * heads; h++) {
    for (var i0 = j0; i0 < args.T; i0 += ${TILE}u) {
      let queries = min(${TILE}u, args.T - i0);
      let q = args.q + (b * args.T + i0) * args.qStride + h * args.D;
      let rows = (b * args.H + h) * args.T + i0;
      ${D_OUT}
      ${TILE_GRADIENT}
      ${transposed('p')}
      ${chunks(variant, (c) => `dV${c} = weighted(dV${c}, dOut, args.H * args.D, queries, ${c * TILE}u, x, y);`)}
      workgroupBarrier();
      ${transposed('dS')}
      ${chunks(variant, (c) => `dK${c} = weighted(dK${c}, q, args.qStride, queries, ${c * TILE}u, x, y);`)}
    }
  }
  ${storeTile(variant, 'dK', {
    at: 'args.dK + (b * args.T + j0) * args.kStride + g * args.D',
    stride: 'args.kStride',
    count: 'keys',
  })}
  ${storeTile(variant, 'dV', {
    at: 'args.dV + (b * args.T + j0) * args.vStride + g * args.D',
    stride: 'args.vStride',
    count: 'keys',
  })}`);

export const attentionBackward: KernelDispatches<'attentionBackward'> = (args) => {
  const kernel = 'attentionBackward';
  const variant = variantOf(args);
  const { B, T, H, G } = args;
  const tiles = Math.ceil(T / TILE);
  const rows = B * H * T;
  return [
    { kernel, args, shader: correctionShader, workgroups: rows, scratch: rows },
    { kernel, args, shader: queryGradientShader(variant), workgroups: [tiles, B * H, 1] },
    { kernel, args, shader: keyGradientShader(variant), workgroups: [tiles, B * G, 1] },
  ];
};
