/** RMSNorm, over rows, which the threads split. */
import { RmsNormArguments, RmsNormBackwardArguments } from './generated/arguments';
import { rowDot, rowsPerBlock } from './rows';
import { allocate } from './scratch';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, madd, putPart, squareRoot, storePart, sumLanes } from './vector';

export function rmsNorm(args: RmsNormArguments): void {
  const C = args.C;
  const weight = args.weight;
  const end = sliceEnd(args.N, FLOATS_PER_LINE); // whole cache lines of rstd
  for (let n = sliceStart(args.N, FLOATS_PER_LINE); n < end; n++) {
    const at = (usize(n) * C) << 2;
    const x = args.x + at;
    const y = args.y + at;
    const r: f32 = 1 / squareRoot(rowDot(x, x, C) / f32(C) + args.epsilon);
    const by = f32x4.splat(r);
    let c = 0;
    for (; c + 8 <= C; c += 8) {
      const p = usize(c) << 2;
      const low = f32x4.mul(f32x4.mul(v128.load(x + p), by), v128.load(weight + p));
      const high = f32x4.mul(f32x4.mul(v128.load(x + p, 16), by), v128.load(weight + p, 16));
      v128.store(y + p, high, 16);
      v128.store(y + p, low);
    }
    for (; c < C; c += 4) {
      const p = usize(c) << 2;
      storePart(y + p, f32x4.mul(f32x4.mul(loadPart(x + p, C - c), by), loadPart(weight + p, C - c)), C - c);
    }
    store<f32>(args.rstd + (usize(n) << 2), r);
  }
}

/**
 * dX = rstd·(dX̂ − x̂·mean(dX̂·x̂)) with dX̂ = dY·weight; dWeight = Σ_n dY·x̂.
 *
 * Threads split the rows for dX, and the channels for dWeight, whose sums run down the rows in order. Both passes run over
 * one block of rows before the next, so that the second finds the rows in L2.
 */
export function rmsNormBackward(args: RmsNormBackwardArguments): void {
  const N = args.N;
  const C = args.C;
  const rows = rowsPerBlock(C);
  const channel = sliceStart(C, FLOATS_PER_LINE);
  const channels = sliceEnd(C, FLOATS_PER_LINE) - channel;
  const sumBytes = usize(channels + 15) << 2; // sums are stored in whole vectors
  const sums = allocate(sumBytes);
  memory.fill(sums, 0, sumBytes);
  for (let n = 0; n < N; n += rows) {
    const count = min(rows, N - n);
    const from = n + sliceStart(count, 1);
    const end = n + sliceEnd(count, 1);
    inputGradients(args, from, end);
    addWeightGradients(args, sums, channel, channels, n, n + count);
  }
  const dWeight = args.dWeight + (usize(channel) << 2);
  for (let c = 0; c < channels; c += 4) {
    const p = usize(c) << 2;
    putPart(dWeight + p, v128.load(sums + p), channels - c, args.accumulateDWeight);
  }
}

/** Rows `from` … `end` − 1 of dX. */
function inputGradients(args: RmsNormBackwardArguments, from: i32, end: i32): void {
  const C = args.C;
  const weight = args.weight;
  for (let n = from; n < end; n++) {
    const at = (usize(n) * C) << 2;
    const x = args.x + at;
    const dY = args.dY + at;
    const dX = args.dX + at;
    const r = load<f32>(args.rstd + (usize(n) << 2));
    let dot0 = f32x4.splat(0);
    let dot1 = f32x4.splat(0);
    let c = 0;
    for (; c + 8 <= C; c += 8) {
      const p = usize(c) << 2;
      dot0 = madd(f32x4.mul(v128.load(dY + p), v128.load(weight + p)), v128.load(x + p), dot0);
      dot1 = madd(f32x4.mul(v128.load(dY + p, 16), v128.load(weight + p, 16)), v128.load(x + p, 16), dot1);
    }
    for (; c < C; c += 4) {
      const p = usize(c) << 2;
      const rest = C - c; // lanes beyond it are 0
      dot0 = madd(f32x4.mul(loadPart(dY + p, rest), loadPart(weight + p, rest)), loadPart(x + p, rest), dot0);
    }
    // x̂·mean(dX̂·x̂) = x·rstd²·mean(dX̂·x)
    const by = f32x4.splat(r);
    const along = f32x4.splat((sumLanes(f32x4.add(dot0, dot1)) / f32(C)) * r * r);
    for (c = 0; c + 8 <= C; c += 8) {
      const p = usize(c) << 2;
      let d0 = inputGradient(v128.load(x + p), v128.load(weight + p), v128.load(dY + p), by, along);
      let d1 = inputGradient(
        v128.load(x + p, 16),
        v128.load(weight + p, 16),
        v128.load(dY + p, 16),
        by,
        along,
      );
      if (args.accumulateDX) {
        d0 = f32x4.add(v128.load(dX + p), d0);
        d1 = f32x4.add(v128.load(dX + p, 16), d1);
      }
      v128.store(dX + p, d1, 16);
      v128.store(dX + p, d0);
    }
    for (; c < C; c += 4) {
      const p = usize(c) << 2;
      const rest = C - c;
      const d = inputGradient(
        loadPart(x + p, rest),
        loadPart(weight + p, rest),
        loadPart(dY + p, rest),
        by,
        along,
      );
      putPart(dX + p, d, rest, args.accumulateDX);
    }
  }
}

/** @inline */
function inputGradient(x: v128, weight: v128, dY: v128, by: v128, along: v128): v128 {
  return f32x4.mul(by, f32x4.sub(f32x4.mul(dY, weight), f32x4.mul(x, along)));
}

/** Adds rows `from` … `end` − 1 to the sums of this thread's channels, a cache line of channels at a time. */
function addWeightGradients(
  args: RmsNormBackwardArguments,
  sums: usize,
  channel: i32,
  channels: i32,
  from: i32,
  end: i32,
): void {
  const stride = usize(args.C) << 2;
  const start = stride * from + (usize(channel) << 2);
  let c = 0;
  for (; c + 16 <= channels; c += 16) {
    const p = usize(c) << 2;
    let x = args.x + start + p;
    let dY = args.dY + start + p;
    let w0 = v128.load(sums + p);
    let w1 = v128.load(sums + p, 16);
    let w2 = v128.load(sums + p, 32);
    let w3 = v128.load(sums + p, 48);
    for (let n = from; n < end; n++) {
      const by = v128.load32_splat(args.rstd + (usize(n) << 2));
      w0 = madd(v128.load(dY), f32x4.mul(v128.load(x), by), w0);
      w1 = madd(v128.load(dY, 16), f32x4.mul(v128.load(x, 16), by), w1);
      w2 = madd(v128.load(dY, 32), f32x4.mul(v128.load(x, 32), by), w2);
      w3 = madd(v128.load(dY, 48), f32x4.mul(v128.load(x, 48), by), w3);
      x += stride;
      dY += stride;
    }
    v128.store(sums + p, w1, 16);
    v128.store(sums + p, w0);
    v128.store(sums + p, w3, 48);
    v128.store(sums + p, w2, 32);
  }
  for (; c < channels; c += 4) {
    const p = usize(c) << 2;
    const rest = channels - c;
    let w = v128.load(sums + p);
    for (let n = from; n < end; n++) {
      const at = stride * (n - from) + start + p;
      const by = v128.load32_splat(args.rstd + (usize(n) << 2));
      w = madd(loadPart(args.dY + at, rest), f32x4.mul(loadPart(args.x + at, rest), by), w);
    }
    v128.store(sums + p, w);
  }
}
