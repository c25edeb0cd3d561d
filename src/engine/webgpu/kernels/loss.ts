/** Cross-entropy and the rank of the target: one workgroup per row. Formulas: signatures.ts, autodiff/ops/cross-entropy.ts. */
import type { KernelDispatches } from '../dispatch.ts';
import { elementwise, EXPONENTIALS, REDUCTIONS, rowwise, SIZE } from '../wgsl.ts';

const vocabulary = (body: string): string => /* wgsl */ `
  for (var v = local; v < args.V; v += ${SIZE}u) {
    let logit = memory[args.logits + row * args.V + v];
    ${body}
  }`;

/** losses = lse − Σ q·logits, from logits minus their maximum, so that the difference of large numbers loses no digits. */
const forward = `${EXPONENTIALS}${REDUCTIONS}${rowwise(`
  var largest = -3.4e38;
  ${vocabulary('largest = max(largest, logit);')}
  largest = maxOfGroup(largest, local);
  var sum = 0.0;
  var all = 0.0;
  ${vocabulary(`sum += exponential(logit - largest);
    all += logit - largest;`)}
  let logSum = logarithm(sumOfGroup(sum, local));
  let spread = args.smoothing / f32(args.V) * sumOfGroup(all, local);
  if (local == 0u) {
    let target_ = intAt(args.targets + row);
    memory[args.lse + row] = largest + logSum;
    if (target_ < 0) {
      memory[args.losses + row] = 0.0;
    } else {
      let own = memory[args.logits + row * args.V + u32(target_)] - largest;
      memory[args.losses + row] = logSum - (1.0 - args.smoothing) * own - select(0.0, spread, args.smoothing > 0.0);
    }
  }`)}`;
export const crossEntropy: KernelDispatches<'crossEntropy'> = (args) => [
  { kernel: 'crossEntropy', args, shader: forward, workgroups: args.N },
];

const backward =
  EXPONENTIALS +
  elementwise(
    `let row = i / args.V;
  let target_ = intAt(args.targets + row);
  let d = select(memory[args.dLosses + row], 0.0, target_ < 0);
  let q = select(0.0, 1.0 - args.smoothing, i32(i % args.V) == target_) + args.smoothing / f32(args.V);
  let p = exponential(memory[args.logits + i] - memory[args.lse + row]);
  put(args.dLogits + i, (p - q) * d, args.dLogits_accumulates);`,
    'args.N * args.V',
  );
export const crossEntropyBackward: KernelDispatches<'crossEntropyBackward'> = (args) => [
  {
    kernel: 'crossEntropyBackward',
    args,
    shader: backward,
    workgroups: Math.ceil((args.N * args.V) / SIZE),
  },
];

/** Counts are whole numbers below 2²⁴, exact in float32. */
const rank = `${REDUCTIONS}${rowwise(`
  let target_ = intAt(args.targets + row);
  let own = memory[args.logits + row * args.V + u32(max(target_, 0))];
  var likelier = 0.0;
  ${vocabulary('if (logit > own || (logit == own && i32(v) < target_)) { likelier += 1.0; }')}
  likelier = sumOfGroup(likelier, local);
  if (local == 0u) { memory[args.ranks + row] = select(likelier, -1.0, target_ < 0); }`)}`;
export const targetRank: KernelDispatches<'targetRank'> = (args) => [
  { kernel: 'targetRank', args, shader: rank, workgroups: args.N },
];
