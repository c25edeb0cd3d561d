import { asMatrix, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = x̂·weight + bias with x̂ = (x − mean)·rstd, over the last axis (Ba, Kiros & Hinton 2016, equation 4).
 *
 * Derivative: with dX̂ = dY·weight, dX = rstd·(dX̂ − mean(dX̂) − x̂·mean(dX̂·x̂)); dWeight = Σ over rows of dY·x̂,
 * dBias = Σ over rows of dY.
 * Shapes: x [...,C], weight [C], bias [C] → [...,C]. Saved: x, and mean and rstd of each row.
 * Threads split the rows; for the gradients of weight and bias, the channels.
 */
export const layerNorm = defineOp({
  forward(t, x: Value, weight: Value, bias: Value, epsilon: number) {
    const { rows: N, columns: C } = asMatrix(x);
    const compute = (): { y: Value; mean: Value; rstd: Value } => {
      const [y, mean, rstd] = [t.local(x.shape), t.local([N]), t.local([N])];
      t.emit('layerNorm', { x, weight, bias, y, mean, rstd, N, C, epsilon });
      return { y, mean, rstd };
    };
    const { y, mean, rstd } = compute();
    t.mayRecompute(y, () => compute().y);
    return { out: y, saved: { x, weight, bias, mean, rstd, N, C } };
  },
  // One kernel computes all three gradients; those of a frozen weight and bias are discarded.
  backward(g, dY, { x, weight, bias, mean, rstd, N, C }) {
    g.addTogether([x, weight, bias], ([dX, dWeight, dBias]) =>
      g.emit('layerNormBackward', { x, weight, mean, rstd, dY, dX, dWeight, dBias, N, C }),
    );
  },
});
