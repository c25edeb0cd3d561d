/** Rotary position embedding: the table of cosines and sines, and the rotation itself. */
import { RotaryArguments, RotaryTableArguments } from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { loadPart, putPart } from './vector';

/**
 * Threads split the T positions of a row, and handle them for all rows of the batch: the rows mostly have the same positions,
 * and copying sines and cosines is far cheaper than computing them in float64.
 */
export function rotaryTable(args: RotaryTableArguments): void {
  const T = args.T;
  const D = args.D;
  const half = D >> 1;
  const scale = f64(args.scale);
  const end = sliceEnd(T, 1);
  for (let i = 0; i < half; i++) {
    const frequency = load<f32>(args.frequencies + (usize(i) << 2));
    for (let t = sliceStart(T, 1); t < end; t++) {
      for (let b = 0; b < args.B; b++) {
        const n = b * T + t;
        const at = args.table + (usize(n * D + i) << 2);
        const position = load<i32>(args.positions + (usize(n) << 2));
        if (b > 0 && position == load<i32>(args.positions + (usize(n - T) << 2))) {
          const above = at - ((usize(T) * D) << 2);
          store<f32>(at, load<f32>(above));
          store<f32>(at + (half << 2), load<f32>(above + (half << 2)));
        } else {
          const angle: f32 = f32(position) * frequency;
          store<f32>(at, f32(scale * NativeMath.cos(f64(angle))));
          store<f32>(at + (half << 2), f32(scale * NativeMath.sin(f64(angle))));
        }
      }
    }
  }
}

/** Threads split the rows. y may be x: both channels of a pair are loaded before either is stored. */
export function rotary(args: RotaryArguments): void {
  const H = args.H;
  const half = args.D >> 1;
  const headBytes = usize(args.D) << 2;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const table = args.table + usize(n) * headBytes;
    const row = usize(n) * H * headBytes;
    for (let h = 0; h < H; h++) {
      const at = row + usize(h) * headBytes;
      rotateHead(args.x + at, args.y + at, table, half, args);
    }
  }
}

function rotateHead(x: usize, y: usize, table: usize, half: i32, args: RotaryArguments): void {
  const second = usize(half) << 2; // where the second channels of the pairs, and the sines, begin
  const sign = f32x4.splat(args.inverse ? -1 : 1);
  let i = 0;
  if (!args.accumulateY) {
    for (; i + 8 <= half; i += 8) {
      const at = usize(i) << 2;
      const a0 = v128.load(x + at);
      const a1 = v128.load(x + at, 16);
      const b0 = v128.load(x + second + at);
      const b1 = v128.load(x + second + at, 16);
      const cos0 = v128.load(table + at);
      const cos1 = v128.load(table + at, 16);
      const sin0 = f32x4.mul(sign, v128.load(table + second + at));
      const sin1 = f32x4.mul(sign, v128.load(table + second + at, 16));
      const first0 = f32x4.sub(f32x4.mul(a0, cos0), f32x4.mul(b0, sin0));
      const first1 = f32x4.sub(f32x4.mul(a1, cos1), f32x4.mul(b1, sin1));
      const second0 = f32x4.add(f32x4.mul(b0, cos0), f32x4.mul(a0, sin0));
      const second1 = f32x4.add(f32x4.mul(b1, cos1), f32x4.mul(a1, sin1));
      v128.store(y + at, first1, 16);
      v128.store(y + at, first0);
      v128.store(y + second + at, second1, 16);
      v128.store(y + second + at, second0);
    }
  }
  for (; i < half; i += 4) {
    const at = usize(i) << 2;
    const rest = half - i;
    const a = loadPart(x + at, rest);
    const b = loadPart(x + second + at, rest);
    const cos = loadPart(table + at, rest);
    const sin = f32x4.mul(sign, loadPart(table + second + at, rest));
    putPart(y + at, f32x4.sub(f32x4.mul(a, cos), f32x4.mul(b, sin)), rest, args.accumulateY);
    putPart(y + second + at, f32x4.add(f32x4.mul(b, cos), f32x4.mul(a, sin)), rest, args.accumulateY);
  }
}
