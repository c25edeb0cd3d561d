import { asMatrix, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = exp(x − max)/Σ exp(x − max) over the last axis; subtracting the maximum prevents overflow.
 *
 * Derivative: dX = y ⊙ (dY − Σ dY·y), since ∂y_i/∂x_j = y_i(δ_ij − y_j).
 * Shapes: all equal. Saved: y. Threads split the rows.
 */
export const softmax = defineOp({
  forward(t, x: Value) {
    const { rows: N, columns: C } = asMatrix(x);
    const y = t.local(x.shape);
    t.emit('softmax', { x, y, N, C });
    return { out: y, saved: { x, y, N, C } };
  },
  backward(g, dY, { x, y, N, C }) {
    g.add(x, (dX) => g.emit('softmaxBackward', { y, dY, dX, N, C }));
  },
});
