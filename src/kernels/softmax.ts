/** Softmax over rows, which the threads split. */
import { SoftmaxArguments, SoftmaxBackwardArguments } from './generated/arguments';
import { rowDot, rowExp, rowMax, rowScale } from './rows';
import { sliceEnd, sliceStart } from './threads';
import { loadPart, putPart } from './vector';

export function softmax(args: SoftmaxArguments): void {
  const C = args.C;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const at = (usize(n) * C) << 2;
    const x = args.x + at;
    const y = args.y + at;
    const sum = rowExp(x, y, C, rowMax(x, C), 1);
    rowScale(y, y, C, 1 / sum);
  }
}

export function softmaxBackward(args: SoftmaxBackwardArguments): void {
  const C = args.C;
  const accumulate = args.accumulateDX;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const at = (usize(n) * C) << 2;
    const y = args.y + at;
    const dY = args.dY + at;
    const dX = args.dX + at;
    const dot = f32x4.splat(rowDot(y, dY, C));
    for (let c = 0; c < C; c += 4) {
      const p = c << 2;
      const d = f32x4.mul(loadPart(y + p, C - c), f32x4.sub(loadPart(dY + p, C - c), dot));
      putPart(dX + p, d, C - c, accumulate);
    }
  }
}
