import type { Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * c = op(a)·op(b) for matrices, where op transposes or not.
 *
 * Derivative: with A = op(a) and B = op(b), dA = dC·Bᵀ and dB = Aᵀ·dC; of a transposed operand, the transpose of that.
 * Each derivative is again a single GEMM.
 * Shapes: op(a) [M,K], op(b) [K,N] → [M,N]. Saved: a, b. Threads split the rows and columns of the result, never K.
 */
export const matmul = defineOp({
  forward(t, a: Value, b: Value, { transA = false, transB = false }: Transposes = {}) {
    const [M, K] = transA ? [a.shape[1], a.shape[0]] : a.shape;
    const [K2, N] = transB ? [b.shape[1], b.shape[0]] : b.shape;
    if (K !== K2) throw new Error(`matmul: [${M},${K}] · [${K2},${N}]`);
    const c = t.local([M, N]);
    t.emit('gemm', { a, b, bias: null, c, M, N, K, transA: Number(transA), transB: Number(transB) });
    return { out: c, saved: { a, b, transA, transB, M, N, K } };
  },
  backward(g, dC, { a, b, transA, transB, M, N, K }) {
    const [notA, notB] = [Number(!transA), Number(!transB)];
    g.add(a, (c) =>
      transA // daᵀ = dC·Bᵀ, so da = B·dCᵀ
        ? g.emit('gemm', { a: b, b: dC, bias: null, c, M: K, N: M, K: N, transA: 1 - notB, transB: 1 })
        : g.emit('gemm', { a: dC, b, bias: null, c, M, N: K, K: N, transA: 0, transB: notB }),
    );
    g.add(b, (c) =>
      transB // dbᵀ = Aᵀ·dC, so db = dCᵀ·A
        ? g.emit('gemm', { a: dC, b: a, bias: null, c, M: N, N: K, K: M, transA: 1, transB: 1 - notA })
        : g.emit('gemm', { a, b: dC, bias: null, c, M: K, N, K: M, transA: notA, transB: 0 }),
    );
  },
});

export interface Transposes {
  readonly transA?: boolean;
  readonly transB?: boolean;
}
