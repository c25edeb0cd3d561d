import { Hyperparameters, MovingAverageArguments } from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, storePart } from './vector';

export function movingAverage(args: MovingAverageArguments): void {
  const x = args.x;
  const average = args.average;
  const hyper = changetype<Hyperparameters>(args.hyper);
  if (hyper.stopped != 0) return;
  const rate = f32x4.splat(hyper.averageRate);
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  let i = sliceStart(args.n, FLOATS_PER_LINE);
  for (; i + 8 <= end; i += 8) {
    const at = usize(i) << 2;
    const low = moved(v128.load(average + at), v128.load(x + at), rate);
    const high = moved(v128.load(average + at, 16), v128.load(x + at, 16), rate);
    v128.store(average + at, high, 16);
    v128.store(average + at, low);
  }
  for (; i < end; i += 4) {
    const at = usize(i) << 2;
    const rest = end - i;
    storePart(average + at, moved(loadPart(average + at, rest), loadPart(x + at, rest), rate), rest);
  }
}

/** The average, moved towards x. @inline */
function moved(average: v128, x: v128, rate: v128): v128 {
  return f32x4.add(average, f32x4.mul(rate, f32x4.sub(x, average)));
}
