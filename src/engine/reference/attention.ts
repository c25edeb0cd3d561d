/** Causal attention, by its definition: forward, backward, and over a KV cache. Formulas: autodiff/ops/attention.ts. */
import { softmaxInPlace } from '../../softmax.ts';
import { maskWords } from './elementwise.ts';
import type { Floats } from '../device.ts';
import { put, type ReferenceArguments, type Sum } from './view.ts';

function dot(x: Floats, i: number, y: Floats, j: number, D: number): number {
  let sum = 0;
  for (let d = 0; d < D; d++) sum += x[i + d] * y[j + d];
  return sum;
}

/** Calls `visit` for each sequence b, each query head h with its key/value head g, and each position i. */
function forEachQuery(
  { B, T, H, G }: { B: number; T: number; H: number; G: number },
  visit: (b: number, h: number, g: number, i: number) => void,
): void {
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++) for (let i = 0; i < T; i++) visit(b, h, Math.floor((h * G) / H), i);
}

export function attention(args: ReferenceArguments<'attention'>): void {
  const { q, k, v, starts, rng, out, lse, T, H, D, qStride, kStride, vStride } = args;
  const word = maskWords(rng, args.site);
  const rowLength = Math.ceil(T / 4) * 4; // dropout takes four random numbers at a time, so a row starts at a multiple of 4
  const p = new Float64Array(T);
  forEachQuery(args, (b, h, g, i) => {
    const row = (b * H + h) * T + i;
    const first = starts?.[b * T + i] ?? 0;
    const query = (b * T + i) * qStride + h * D;
    for (let j = first; j <= i; j++) p[j] = dot(q, query, k, (b * T + j) * kStride + g * D, D) / Math.sqrt(D);
    lse[row] = softmaxInPlace(p, first, i);
    // Dropout. Integers are signed in memory; `>>> 0` makes the threshold unsigned again.
    for (let j = first; j <= i; j++)
      p[j] = word(row * rowLength + j) >= args.threshold >>> 0 ? p[j] * args.scale : 0;
    for (let d = 0; d < D; d++) {
      let o = 0;
      for (let j = first; j <= i; j++) o += p[j] * v[(b * T + j) * vStride + g * D + d];
      out[((b * T + i) * H + h) * D + d] = o;
    }
  });
}

/** Zeros the first `channels` of each row of a gradient, unless it accumulates. */
function clear({ data, accumulate }: Sum, rows: number, stride: number, channels: number): Sum {
  if (!accumulate) for (let row = 0; row < rows; row++) data.fill(0, row * stride, row * stride + channels);
  return { data, accumulate: true };
}

export function attentionBackward(args: ReferenceArguments<'attentionBackward'>): void {
  const { q, k, v, starts, rng, out, lse, dOut, B, T, H, G, D, qStride, kStride, vStride } = args;
  const word = maskWords(rng, args.site);
  const rowLength = Math.ceil(T / 4) * 4;
  const root = Math.sqrt(D);
  const dQ = clear(args.dQ, B * T, qStride, H * D);
  const dK = clear(args.dK, B * T, kStride, G * D);
  const dV = clear(args.dV, B * T, vStride, G * D);
  forEachQuery(args, (b, h, g, i) => {
    const row = (b * H + h) * T + i;
    const query = (b * T + i) * qStride + h * D;
    const o = ((b * T + i) * H + h) * D;
    const correction = dot(dOut, o, out, o, D); // Σ_j dP·P
    for (let j = starts?.[b * T + i] ?? 0; j <= i; j++) {
      const key = (b * T + j) * kStride + g * D;
      const value = (b * T + j) * vStride + g * D;
      const P = Math.exp(dot(q, query, k, key, D) / root - lse[row]);
      const kept = word(row * rowLength + j) >= args.threshold >>> 0 ? args.scale : 0;
      const dP = dot(dOut, o, v, value, D) * kept;
      const dS = (P * (dP - correction)) / root;
      for (let d = 0; d < D; d++) {
        put(dQ, query + d, dS * k[key + d]);
        put(dK, key + d, dS * q[query + d]);
        put(dV, value + d, P * kept * dOut[o + d]);
      }
    }
  });
}

export function attentionCached(args: ReferenceArguments<'attentionCached'>): void {
  const { q, k, v, starts, positions, keys, values, out, B, T, H, G, D, qStride, capacity } = args;
  append(k, args.kStride, keys, args);
  append(v, args.vStride, values, args);
  const p = new Float64Array(capacity);
  forEachQuery({ B, T, H, G }, (b, h, g, t) => {
    const cache = (b * G + g) * capacity;
    const query = (b * T + t) * qStride + h * D;
    const [first, last] = [starts?.[b * T + t] ?? 0, positions[b * T + t]];
    for (let j = first; j <= last; j++) p[j] = dot(q, query, keys, (cache + j) * D, D) / Math.sqrt(D);
    softmaxInPlace(p, first, last);
    for (let d = 0; d < D; d++) {
      let o = 0;
      for (let j = first; j <= last; j++) o += p[j] * values[(cache + j) * D + d];
      out[((b * T + t) * H + h) * D + d] = o;
    }
  });
}

/** Copies the new rows of each key/value head to their positions in its cache [B,G,capacity,D]. */
function append(
  rows: Floats,
  stride: number,
  cache: Floats,
  { positions, B, T, G, D, capacity }: ReferenceArguments<'attentionCached'>,
): void {
  for (let b = 0; b < B; b++)
    for (let g = 0; g < G; g++)
      for (let t = 0; t < T; t++) {
        const source = (b * T + t) * stride + g * D;
        const target = ((b * G + g) * capacity + positions[b * T + t]) * D;
        for (let d = 0; d < D; d++) cache[target + d] = rows[source + d];
      }
}
