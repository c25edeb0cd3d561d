/**
 * LayerNorm, backward pass: dX = rstd·(dX̂ − mean(dX̂) − x̂·mean(dX̂·x̂)) with dX̂ = dY·weight; dWeight = Σ_n dY·x̂,
 * dBias = Σ_n dY.
 *
 * Threads split the rows for dX, and the channels for the parameters, whose sums run down the rows in order. Both passes run
 * over one block of rows before the next, so that the second finds the rows in L2.
 */
import { LayerNormBackwardArguments } from './generated/arguments';
import { allocate } from './scratch';
import { rowsPerBlock } from './rows';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, madd, putPart, sumLanes } from './vector';

export function layerNormBackward(args: LayerNormBackwardArguments): void {
  const N = args.N;
  const C = args.C;
  const rows = rowsPerBlock(C);
  const firstChannel = sliceStart(C, FLOATS_PER_LINE);
  const channels = sliceEnd(C, FLOATS_PER_LINE) - firstChannel;
  const sumBytes = usize(channels + 15) << 2; // sums are stored in whole vectors
  const weightSums = allocate(sumBytes);
  const biasSums = allocate(sumBytes);
  memory.fill(weightSums, 0, sumBytes);
  memory.fill(biasSums, 0, sumBytes);
  for (let first = 0; first < N; first += rows) {
    const count = min(rows, N - first);
    inputGradients(args, first + sliceStart(count, 1), first + sliceEnd(count, 1));
    addParameterGradients(args, weightSums, biasSums, first, first + count);
  }
  const dWeight = args.dWeight + (usize(firstChannel) << 2);
  const dBias = args.dBias + (usize(firstChannel) << 2);
  for (let c = 0; c < channels; c += 4) {
    const at = c << 2;
    putPart(dWeight + at, v128.load(weightSums + at), channels - c, args.accumulateDWeight);
    putPart(dBias + at, v128.load(biasSums + at), channels - c, args.accumulateDBias);
  }
}

/** Rows `from` … `end` − 1 of dX. */
function inputGradients(args: LayerNormBackwardArguments, from: i32, end: i32): void {
  const C = args.C;
  const weight = args.weight;
  const accumulate = args.accumulateDX;
  for (let n = from; n < end; n++) {
    const x = args.x + ((usize(n) * C) << 2);
    const dY = args.dY + ((usize(n) * C) << 2);
    const dX = args.dX + ((usize(n) * C) << 2);
    const mean = f32x4.splat(load<f32>(args.mean + (usize(n) << 2)));
    const rstd = f32x4.splat(load<f32>(args.rstd + (usize(n) << 2)));
    // Sums of dX̂ and of dX̂·x̂, two of each side by side, over pairs of vectors.
    let sum0 = f32x4.splat(0);
    let sum1 = f32x4.splat(0);
    let dot0 = f32x4.splat(0);
    let dot1 = f32x4.splat(0);
    let c = 0;
    for (; c + 8 <= C; c += 8) {
      const p = c << 2;
      const d0 = f32x4.mul(v128.load(dY + p), v128.load(weight + p));
      const d1 = f32x4.mul(v128.load(dY + p, 16), v128.load(weight + p, 16));
      sum0 = f32x4.add(sum0, d0);
      sum1 = f32x4.add(sum1, d1);
      dot0 = madd(d0, f32x4.mul(f32x4.sub(v128.load(x + p), mean), rstd), dot0);
      dot1 = madd(d1, f32x4.mul(f32x4.sub(v128.load(x + p, 16), mean), rstd), dot1);
    }
    for (; c < C; c += 4) {
      const p = c << 2;
      const rest = C - c; // dY, and with it both terms, is 0 in the lanes beyond
      const d = f32x4.mul(loadPart(dY + p, rest), loadPart(weight + p, rest));
      sum0 = f32x4.add(sum0, d);
      dot0 = madd(d, f32x4.mul(f32x4.sub(loadPart(x + p, rest), mean), rstd), dot0);
    }
    const meanD = f32x4.splat(sumLanes(f32x4.add(sum0, sum1)) / f32(C));
    const meanDX = f32x4.splat(sumLanes(f32x4.add(dot0, dot1)) / f32(C));
    for (c = 0; c + 8 <= C; c += 8) {
      const p = c << 2;
      const d0 = f32x4.mul(v128.load(dY + p), v128.load(weight + p));
      const x0 = f32x4.mul(f32x4.sub(v128.load(x + p), mean), rstd);
      const d1 = f32x4.mul(v128.load(dY + p, 16), v128.load(weight + p, 16));
      const x1 = f32x4.mul(f32x4.sub(v128.load(x + p, 16), mean), rstd);
      let r0 = inputGradient(d0, x0, rstd, meanD, meanDX);
      let r1 = inputGradient(d1, x1, rstd, meanD, meanDX);
      if (accumulate) {
        r0 = f32x4.add(v128.load(dX + p), r0);
        r1 = f32x4.add(v128.load(dX + p, 16), r1);
      }
      v128.store(dX + p, r1, 16);
      v128.store(dX + p, r0);
    }
    for (; c < C; c += 4) {
      const p = c << 2;
      const rest = C - c;
      const d = f32x4.mul(loadPart(dY + p, rest), loadPart(weight + p, rest));
      const normalized = f32x4.mul(f32x4.sub(loadPart(x + p, rest), mean), rstd);
      putPart(dX + p, inputGradient(d, normalized, rstd, meanD, meanDX), rest, accumulate);
    }
  }
}

/**
 * Four elements of dX.
 *
 * @param d dX̂
 * @param normalized x̂
 * @inline
 */
function inputGradient(d: v128, normalized: v128, rstd: v128, meanD: v128, meanDX: v128): v128 {
  return f32x4.mul(rstd, f32x4.sub(f32x4.sub(d, meanD), f32x4.mul(normalized, meanDX)));
}

/** Adds rows `from` … `end` − 1 to the sums of this thread's channels. */
function addParameterGradients(
  args: LayerNormBackwardArguments,
  weightSums: usize,
  biasSums: usize,
  from: i32,
  end: i32,
): void {
  const C = args.C;
  const firstChannel = sliceStart(C, FLOATS_PER_LINE);
  const channels = sliceEnd(C, FLOATS_PER_LINE) - firstChannel;
  const x = args.x + (usize(firstChannel) << 2);
  const dY = args.dY + (usize(firstChannel) << 2);
  const mean = args.mean;
  const rstd = args.rstd;
  const stride = usize(C) << 2;
  // Whole cache lines of channels at a time: with half lines, each would be read twice.
  let c = 0;
  for (; c + 16 <= channels; c += 16) {
    const p = usize(c) << 2;
    let xs = x + stride * from + p;
    let dYs = dY + stride * from + p;
    let w0 = v128.load(weightSums + p);
    let w1 = v128.load(weightSums + p, 16);
    let w2 = v128.load(weightSums + p, 32);
    let w3 = v128.load(weightSums + p, 48);
    let b0 = v128.load(biasSums + p);
    let b1 = v128.load(biasSums + p, 16);
    let b2 = v128.load(biasSums + p, 32);
    let b3 = v128.load(biasSums + p, 48);
    for (let n = from; n < end; n++) {
      const shift = v128.load32_splat(mean + (usize(n) << 2));
      const scale = v128.load32_splat(rstd + (usize(n) << 2));
      const d0 = v128.load(dYs);
      const d1 = v128.load(dYs, 16);
      const d2 = v128.load(dYs, 32);
      const d3 = v128.load(dYs, 48);
      w0 = madd(d0, f32x4.mul(f32x4.sub(v128.load(xs), shift), scale), w0);
      w1 = madd(d1, f32x4.mul(f32x4.sub(v128.load(xs, 16), shift), scale), w1);
      w2 = madd(d2, f32x4.mul(f32x4.sub(v128.load(xs, 32), shift), scale), w2);
      w3 = madd(d3, f32x4.mul(f32x4.sub(v128.load(xs, 48), shift), scale), w3);
      b0 = f32x4.add(b0, d0);
      b1 = f32x4.add(b1, d1);
      b2 = f32x4.add(b2, d2);
      b3 = f32x4.add(b3, d3);
      xs += stride;
      dYs += stride;
    }
    v128.store(weightSums + p, w1, 16);
    v128.store(weightSums + p, w0);
    v128.store(weightSums + p, w3, 48);
    v128.store(weightSums + p, w2, 32);
    v128.store(biasSums + p, b1, 16);
    v128.store(biasSums + p, b0);
    v128.store(biasSums + p, b3, 48);
    v128.store(biasSums + p, b2, 32);
  }
  if (c < channels) addRemainingChannels(args, weightSums, biasSums, from, end, c);
}

/** The same for the channels of this thread's slice from `c` on. */
function addRemainingChannels(
  args: LayerNormBackwardArguments,
  weightSums: usize,
  biasSums: usize,
  from: i32,
  end: i32,
  c: i32,
): void {
  const C = args.C;
  const firstChannel = sliceStart(C, FLOATS_PER_LINE);
  const channels = sliceEnd(C, FLOATS_PER_LINE) - firstChannel;
  const x = args.x + (usize(firstChannel) << 2);
  const dY = args.dY + (usize(firstChannel) << 2);
  const stride = usize(C) << 2;
  for (; c < channels; c += 4) {
    const p = usize(c) << 2;
    let w = v128.load(weightSums + p);
    let b = v128.load(biasSums + p);
    for (let n = from; n < end; n++) {
      const at = stride * n + p;
      const shift = v128.load32_splat(args.mean + (usize(n) << 2));
      const scale = v128.load32_splat(args.rstd + (usize(n) << 2));
      const d = loadPart(dY + at, channels - c);
      w = madd(d, f32x4.mul(f32x4.sub(loadPart(x + at, channels - c), shift), scale), w);
      b = f32x4.add(b, d);
    }
    v128.store(weightSums + p, w);
    v128.store(biasSums + p, b);
  }
}
