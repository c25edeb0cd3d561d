import { maskWords } from './elementwise.ts';
import { put, type Floats, type ReferenceArguments } from './view.ts';

/** Where q, k or v of (b, t, h) starts in qkv [B,T,3,H,D]. */
const offset = (T: number, H: number, D: number, b: number, t: number, part: 0 | 1 | 2, h: number): number =>
  (((b * T + t) * 3 + part) * H + h) * D;

function dot(x: Floats, i: number, y: Floats, j: number, D: number): number {
  let sum = 0;
  for (let d = 0; d < D; d++) sum += x[i + d] * y[j + d];
  return sum;
}

export function attention(args: ReferenceArguments<'attention'>): void {
  const { qkv, rng, out, lse, B, T, H, D, site, threshold, scale } = args;
  const word = maskWords(rng, site);
  const rowLength = Math.ceil(T / 4) * 4;
  const p = new Float64Array(T);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let i = 0; i < T; i++) {
        const row = (b * H + h) * T + i;
        const q = offset(T, H, D, b, i, 0, h);
        let max = -Infinity;
        for (let j = 0; j <= i; j++) {
          p[j] = dot(qkv, q, qkv, offset(T, H, D, b, j, 1, h), D) / Math.sqrt(D);
          max = Math.max(max, p[j]);
        }
        let sum = 0;
        for (let j = 0; j <= i; j++) sum += p[j] = Math.exp(p[j] - max);
        lse[row] = max + Math.log(sum);
        for (let j = 0; j <= i; j++)
          p[j] = word(row * rowLength + j) >= threshold >>> 0 ? (p[j] / sum) * scale : 0;
        for (let d = 0; d < D; d++) {
          let o = 0;
          for (let j = 0; j <= i; j++) o += p[j] * qkv[offset(T, H, D, b, j, 2, h) + d];
          out[((b * T + i) * H + h) * D + d] = o;
        }
      }
}

export function attentionBackward(args: ReferenceArguments<'attentionBackward'>): void {
  const { qkv, rng, out, lse, dOut, dQkv, B, T, H, D, site, threshold, scale } = args;
  const word = maskWords(rng, site);
  const rowLength = Math.ceil(T / 4) * 4;
  const root = Math.sqrt(D);
  if (!dQkv.accumulate) dQkv.data.fill(0, 0, 3 * B * T * H * D);
  const sum = { data: dQkv.data, accumulate: true };
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let i = 0; i < T; i++) {
        const row = (b * H + h) * T + i;
        const q = offset(T, H, D, b, i, 0, h);
        const o = ((b * T + i) * H + h) * D;
        const correction = dot(dOut, o, out, o, D); // Σ_j dP·P
        for (let j = 0; j <= i; j++) {
          const k = offset(T, H, D, b, j, 1, h);
          const v = offset(T, H, D, b, j, 2, h);
          const P = Math.exp(dot(qkv, q, qkv, k, D) / root - lse[row]);
          const kept = word(row * rowLength + j) >= threshold >>> 0 ? scale : 0;
          const dP = dot(dOut, o, qkv, v, D) * kept;
          const dS = (P * (dP - correction)) / root;
          for (let d = 0; d < D; d++) {
            put(sum, q + d, dS * qkv[k + d]);
            put(sum, k + d, dS * qkv[q + d]);
            put(sum, v + d, P * kept * dOut[o + d]);
          }
        }
      }
}

export function attentionCached(args: ReferenceArguments<'attentionCached'>): void {
  const { qkv, positions, keys, values, out, B, T, H, D, capacity } = args;
  const p = new Float64Array(capacity);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++) {
      const cache = (b * H + h) * capacity;
      for (let t = 0; t < T; t++) {
        const k = offset(T, H, D, b, t, 1, h);
        const v = offset(T, H, D, b, t, 2, h);
        const row = (cache + positions[b * T + t]) * D;
        for (let d = 0; d < D; d++) {
          keys[row + d] = qkv[k + d];
          values[row + d] = qkv[v + d];
        }
      }
      for (let t = 0; t < T; t++) {
        const q = offset(T, H, D, b, t, 0, h);
        const last = positions[b * T + t];
        let max = -Infinity;
        for (let j = 0; j <= last; j++) {
          p[j] = dot(qkv, q, keys, (cache + j) * D, D) / Math.sqrt(D);
          max = Math.max(max, p[j]);
        }
        let sum = 0;
        for (let j = 0; j <= last; j++) sum += p[j] = Math.exp(p[j] - max);
        for (let d = 0; d < D; d++) {
          let o = 0;
          for (let j = 0; j <= last; j++) o += (p[j] / sum) * values[(cache + j) * D + d];
          out[((b * T + t) * H + h) * D + d] = o;
        }
      }
    }
}
