import { asMatrix, ownerOf, type Value } from '../graph.ts';
import { defineOp, type Recorder } from '../recorder.ts';
import { dropoutArguments, type Randomness } from './dropout.ts';

/** Queries [B,T,H·D], keys and values [B,T,G·D], each a separate value or a view of a packed one. */
export interface AttentionOperands {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  /**
   * Start of each position's document, int32 [B,T]: position t attends to positions starts[t] … t. At most t, and
   * non-decreasing along T. Without it, a row is one document.
   */
  readonly starts?: Value | undefined;
}

/** Elements between the starts of two rows. */
const strideOf = (x: Value): number => asMatrix(ownerOf(x)).columns;

function shapesOf({ q, k, v }: AttentionOperands, D: number) {
  const [B, T] = q.shape;
  const [H, G] = [q, k].map((x) => asMatrix(x).columns / D);
  if (!Number.isInteger(G) || !Number.isInteger(H / G) || v.shape.join() !== k.shape.join())
    throw new Error(
      `attention: queries [${q.shape.join(',')}] with keys [${k.shape.join(',')}] and values [${v.shape.join(',')}], in heads of ${D}`,
    );
  return { B, T, H, G, D, qStride: strideOf(q), kStride: strideOf(k), vStride: strideOf(v) };
}

/**
 * Causal self-attention (Vaswani et al. 2017, equation 1): per head P = softmax(q·kᵀ/√D) over starts[i] ≤ j ≤ i, out = P·v.
 * Groups of H/G query heads share a key/value head (Ainslie et al. 2023); multi-head attention has G = H.
 * During training, dropout is applied to the probabilities.
 *
 * Derivative, per head, with S = q·kᵀ/√D: dV = Pᵀ·dOut, dP = dOut·vᵀ, dS = P ⊙ (dP − Σ_j dP·P), dQ = dS·k/√D,
 * dK = dSᵀ·q/√D, the last two summed over the query heads of a group. Only the log-sum-exp of each row is saved; P is
 * recomputed from it, and Σ_j dP·P = Σ_d dOut·out (Dao et al. 2022, section 3.1 and appendix B.2).
 * Shapes: see AttentionOperands → [B,T,H·D]. Saved: q, k, v, out, log-sum-exp [B,H,T].
 * Threads split heads, and in the forward pass rows.
 *
 * @param headSize D: channels of a head
 */
export const attention = defineOp({
  forward(
    t,
    { q, k, v, starts }: AttentionOperands,
    headSize: number,
    { rng, probability }: Randomness,
    site: number,
  ) {
    const shapes = shapesOf({ q, k, v }, headSize);
    const { B, T, H } = shapes;
    const out = t.local(q.shape);
    const lse = t.local([B, H, T]);
    const args = {
      q,
      k,
      v,
      starts: starts ?? null,
      rng,
      lse,
      ...shapes,
      ...dropoutArguments(probability, site),
    };
    t.emit('attention', { ...args, out });
    return { out, saved: { out, args } };
  },
  backward(g, dOut, { out, args }) {
    const { q, k, v } = args;
    g.addTogether([q, k, v], ([dQ, dK, dV]) =>
      g.emit('attentionBackward', { ...args, out, dOut, dQ, dK, dV }),
    );
  },
});

/** The KV cache: keys and values of all positions so far, each [B,G,capacity,D]. */
export interface LayerCache {
  readonly keys: Value;
  readonly values: Value;
}

/** Attention for decoding: appends the new keys and values to the cache and attends to all of it. No derivative. */
export function cachedAttention(
  t: Recorder,
  { q, k, v, starts }: AttentionOperands,
  positions: Value,
  { keys, values }: LayerCache,
): Value {
  const [, , capacity, D] = keys.shape;
  const out = t.local(q.shape);
  const shapes = shapesOf({ q, k, v }, D);
  t.emit('attentionCached', {
    q,
    k,
    v,
    starts: starts ?? null,
    positions,
    keys,
    values,
    out,
    ...shapes,
    capacity,
  });
  return out;
}
