import { asMatrix, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = x·W + bias, for every row of x. `transposed` says that W is stored [N,K], as the tied output head is. The result may be
 * added to a value that nothing else reads, `addTo`: y = addTo + x·W.
 *
 * Derivative: dX = dY·Wᵀ, dW = xᵀ·dY (dWᵀ = dYᵀ·x where stored transposed), dBias = Σ over rows of dY.
 * Shapes: x [...,K], W [K,N] or [N,K], bias [N] or null → [...,N]. Saved: x, W.
 * Bit-identical on any number of threads.
 */
export const linear = defineOp({
  forward(t, x: Value, W: Value, bias: Value | null, { transposed = false, addTo }: LinearOptions = {}) {
    const { rows: M, columns: K } = asMatrix(x);
    const [K2, N] = transposed ? [W.shape[1], W.shape[0]] : W.shape;
    if (K !== K2) throw new Error(`linear: x has ${K} columns, ${W.name} takes ${K2}`);
    const y = { ...t.local([...x.shape.slice(0, -1), N]), base: addTo };
    t.emit('gemm', { a: x, b: W, bias, c: y, M, N, K, transA: 0, transB: Number(transposed) });
    return { out: y, saved: { x, W, bias, addTo, transposed, M, N, K } };
  },
  backward(g, dY, { x, W, bias, addTo, transposed, M, N, K }) {
    if (addTo !== undefined) g.pass(addTo, dY);
    // Both gradients of a W stored [K,N] come from one kernel, which reads dY once.
    const isFused = !transposed && W.needsGradient && bias?.needsGradient === true;
    g.add(W, (c) => {
      const input = g.operand(x);
      if (transposed)
        g.emit('gemm', { a: dY, b: input, bias: null, c, M: N, N: K, K: M, transA: 1, transB: 0 });
      else if (!isFused)
        g.emit('gemm', { a: input, b: dY, bias: null, c, M: K, N, K: M, transA: 1, transB: 0 });
      else
        g.add(bias, (dBias) =>
          g.emit('linearParametersBackward', { x: input, dY, dWeight: c, dBias, M, N, K }),
        );
    });
    if (bias !== null && !isFused) g.add(bias, (sums) => g.emit('columnSums', { x: dY, sums, M, N }));
    g.add(x, (c) =>
      g.emit('gemm', { a: dY, b: W, bias: null, c, M, N: K, K: N, transA: 0, transB: Number(!transposed) }),
    );
  },
});

export interface LinearOptions {
  readonly transposed?: boolean;
  readonly addTo?: Value;
}
