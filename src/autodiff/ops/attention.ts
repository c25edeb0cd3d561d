import { defineOp, type Recorder, type Value } from '../graph.ts';
import { dropoutArguments, type Randomness } from './dropout.ts';

/**
 * Causal multi-head self-attention (Vaswani et al. 2017, equation 1): per head P = softmax(q·kᵀ/√D) over j ≤ i, out = P·v.
 * During training, probabilities are dropped before they meet the values.
 *
 * Derivative, per head, with S = q·kᵀ/√D: dV = Pᵀ·dOut, dP = dOut·vᵀ, dS = P ⊙ (dP − Σ_j dP·P), dQ = dS·k/√D,
 * dK = dSᵀ·q/√D. Only the log-sum-exp of each row is saved; P is computed again from it, and Σ_j dP·P = Σ_d dOut·out
 * (Dao et al. 2022, section 3.1 and appendix B.2).
 * Shapes: qkv [B,T,3C] → [B,T,C], C = H·D. Saved: qkv, out, log-sum-exp [B,H,T]. Threads split heads and rows.
 */
export const attention = defineOp({
  forward(t, qkv: Value, nHead: number, { rng, probability }: Randomness, site: number) {
    const [B, T, C3] = qkv.shape;
    const C = C3 / 3;
    const shape = { B, T, H: nHead, D: C / nHead };
    const out = t.local([B, T, C]);
    const lse = t.local([B, nHead, T]);
    const draw = dropoutArguments(probability, site);
    t.emit('attention', { qkv, rng, out, lse, ...shape, ...draw });
    return { out, saved: { qkv, rng, out, lse, shape, draw } };
  },
  backward(g, dOut, { qkv, rng, out, lse, shape, draw }) {
    g.add(qkv, (dQkv) => g.emit('attentionBackward', { qkv, rng, out, lse, dOut, dQkv, ...shape, ...draw }));
  },
});

/** Keys and values of every position so far, each [B,H,capacity,D]. */
export interface LayerCache {
  readonly keys: Value;
  readonly values: Value;
}

/** Attention for generation: adds the new keys and values to the cache and attends to all of it. Has no derivative. */
export function cachedAttention(
  t: Recorder,
  qkv: Value,
  positions: Value,
  { keys, values }: LayerCache,
): Value {
  const [B, T, C3] = qkv.shape;
  const [, H, capacity, D] = keys.shape;
  const out = t.local([B, T, C3 / 3]);
  t.emit('attentionCached', { qkv, positions, keys, values, out, B, T, H, D, capacity });
  return out;
}
