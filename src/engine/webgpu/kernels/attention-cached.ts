/**
 * Attention with a KV cache: one dispatch appends the new keys and values, a second one attends. A workgroup has one query; its
 * invocations each compute the score of one of SIZE keys, then each some channels of the weighted sum, with a running maximum.
 */
import type { KernelDispatches } from '../dispatch.ts';
import { elementwise, EXPONENTIALS, REDUCTIONS, rowwise, SIZE } from '../wgsl.ts';

/** keys[b,g,positions[b,t],:] = k[b,t,g,:], and the same for the values. */
const append = elementwise(
  `let d = i % args.D;
  let g = i / args.D % args.G;
  let at = i / args.D / args.G; // b·T + t
  let b = at / args.T;
  let target_ = ((b * args.G + g) * args.capacity + u32(intAt(args.positions + at))) * args.D + d;
  memory[args.keys + target_] = memory[args.k + at * args.kStride + g * args.D + d];
  memory[args.values + target_] = memory[args.v + at * args.vStride + g * args.D + d];`,
  'args.B * args.T * args.G * args.D',
);

const attend = (D: number): string => {
  const parts = Array.from({ length: Math.ceil(D / SIZE) }, (_, part) => part);
  return `${EXPONENTIALS}${REDUCTIONS}
var<workgroup> weights: array<f32, ${SIZE}>;
var<workgroup> bounds: vec2<u32>;
${rowwise(
  `let h = row % args.H;
  let at = row / args.H; // b·T + t
  let b = at / args.T;
  let cache = (b * args.G + h * args.G / args.H) * args.capacity;
  let query = args.q + at * args.qStride + h * args.D;
  if (local == 0u) {
    bounds = vec2(0u, u32(intAt(args.positions + at)) + 1u);
    if (isPresent(args.starts)) { bounds.x = u32(intAt(args.starts + at)); }
  }
  let range = workgroupUniformLoad(&bounds);
  let root = 1.0 / sqrt(f32(args.D));
  var largest = -3.4e38;
  var sum = 0.0;
  ${parts.map((part) => `var out${part} = 0.0;`).join(' ')}
  for (var first = range.x; first < range.y; first += ${SIZE}u) {
    let count = min(${SIZE}u, range.y - first);
    var score = -3.4e38;
    if (local < count) {
      score = 0.0;
      for (var d = 0u; d < args.D; d++) {
        score += memory[query + d] * memory[args.keys + (cache + first + local) * args.D + d];
      }
      score *= root;
    }
    let before = largest;
    largest = max(largest, maxOfGroup(score, local));
    let shrunk = exponential(before - largest);
    var p = 0.0;
    if (local < count) { p = exponential(score - largest); }
    weights[local] = p;
    sum = sum * shrunk + sumOfGroup(p, local);
    ${parts
      .map(
        (part) => `out${part} *= shrunk;
    if (${part * SIZE}u + local < args.D) {
      for (var j = 0u; j < count; j++) {
        out${part} += weights[j] * memory[args.values + (cache + first + j) * args.D + ${part * SIZE}u + local];
      }
    }`,
      )
      .join('\n    ')}
  }
  ${parts
    .map(
      (part) => `if (${part * SIZE}u + local < args.D) {
    memory[args.out + row * args.D + ${part * SIZE}u + local] = out${part} / sum;
  }`,
    )
    .join('\n  ')}`,
  'args.B * args.T * args.H',
)}`;
};

export const attentionCached: KernelDispatches<'attentionCached'> = (args) => {
  const { B, T, H, G, D } = args;
  const kernel = 'attentionCached';
  return [
    { kernel, args, shader: append, workgroups: Math.ceil((B * T * G * D) / SIZE) },
    { kernel, args, shader: attend(D), workgroups: B * T * H },
  ];
};
