/** Dropout of activations, forward and backward. Attention has its own, in attention/. */
import { DropoutArguments } from './generated/arguments';
import { dropoutMasks, MASK_BYTES } from './philox';
import { allocate } from './scratch';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, putPart } from './vector';

export function dropout(args: DropoutArguments): void {
  const x = args.x;
  const y = args.y;
  const accumulate = args.accumulateY;
  const scale = f32x4.splat(args.scale);
  const masks = allocate(2 * MASK_BYTES);
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 32) {
    dropoutMasks(masks, args.rng, i >>> 2, (i + 16) >>> 2, args.site, args.threshold);
    for (let j = i; j < min(i + 32, end); j += 4) {
      const at = j << 2;
      const kept = v128.and(loadPart(x + at, end - j), v128.load(masks + ((j - i) << 2)));
      putPart(y + at, f32x4.mul(kept, scale), end - j, accumulate);
    }
  }
}
