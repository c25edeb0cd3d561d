/**
 * Element-wise kernels. Threads split the elements at cache lines. Vectors are processed in pairs, which V8's revectorize
 * fuses into one 256-bit operation. Here and in all other kernels, the upper half of a pair is stored first: otherwise V8
 * emits the store of the lower half in addition to the fused one, which cost 2 to 5 % of a training step.
 */
import {
  AddArguments,
  CopyArguments,
  ReluArguments,
  ReluBackwardArguments,
  ScaleArguments,
} from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, putPart, storePart } from './vector';

export function add(args: AddArguments): void {
  const a = args.a;
  const b = args.b;
  const y = args.y;
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  let i = sliceStart(args.n, FLOATS_PER_LINE);
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const low = f32x4.add(v128.load(a + at), v128.load(b + at));
    const high = f32x4.add(v128.load(a + at, 16), v128.load(b + at, 16));
    v128.store(y + at, high, 16);
    v128.store(y + at, low);
  }
  for (; i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, f32x4.add(loadPart(a + at, end - i), loadPart(b + at, end - i)), end - i);
  }
}

export function scale(args: ScaleArguments): void {
  const x = args.x;
  const y = args.y;
  const accumulate = args.accumulateY;
  const factor = f32x4.splat(args.factor);
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = i << 2;
    putPart(y + at, f32x4.mul(loadPart(x + at, end - i), factor), end - i, accumulate);
  }
}

export function copy(args: CopyArguments): void {
  const x = args.x;
  const y = args.y;
  const accumulate = args.accumulateY;
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = i << 2;
    putPart(y + at, loadPart(x + at, end - i), end - i, accumulate);
  }
}

export function relu(args: ReluArguments): void {
  const x = args.x;
  const y = args.y;
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, f32x4.max(loadPart(x + at, end - i), f32x4.splat(0)), end - i);
  }
}

export function reluBackward(args: ReluBackwardArguments): void {
  const x = args.x;
  const dY = args.dY;
  const dX = args.dX;
  const accumulate = args.accumulateDX;
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = i << 2;
    const isPositive = f32x4.gt(loadPart(x + at, end - i), f32x4.splat(0));
    putPart(dX + at, v128.and(loadPart(dY + at, end - i), isPositive), end - i, accumulate);
  }
}
