import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = x·rstd·weight with rstd = 1/√(mean(x²) + ε), over groups of `weight.length` adjacent channels (Zhang & Sennrich 2019,
 * equation 4). A weight of C channels normalizes whole rows, one of D channels each head separately (QK-norm).
 *
 * Derivative: with dX̂ = dY·weight and x̂ = x·rstd, dX = rstd·(dX̂ − x̂·mean(dX̂·x̂)); dWeight = Σ over groups of dY·x̂.
 * Shapes: x [...,k·C], weight [C] → [...,k·C]. Saved: x, and rstd of each group.
 * Threads split the groups; for the gradient of the weight, the channels.
 */
export const rmsNorm = defineOp({
  forward(t, x: Value, weight: Value, epsilon: number) {
    const C = size(weight);
    const N = size(x) / C;
    const compute = (): { y: Value; rstd: Value } => {
      const [y, rstd] = [t.local(x.shape), t.local([N])];
      t.emit('rmsNorm', { x, weight, y, rstd, N, C, epsilon });
      return { y, rstd };
    };
    const { y, rstd } = compute();
    t.mayRecompute(y, () => compute().y);
    return { out: y, saved: { x, weight, rstd, N, C } };
  },
  // One kernel computes both gradients; that of a frozen weight is discarded.
  backward(g, dY, { x, weight, rstd, N, C }) {
    g.addTogether([x, weight], ([dX, dWeight]) =>
      g.emit('rmsNormBackward', { x, weight, rstd, dY, dX, dWeight, N, C }),
    );
  },
});
