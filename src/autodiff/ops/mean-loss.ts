import { defineOp, size, type Value } from '../graph.ts';

/**
 * The mean of losses over the targets that count (≥ 0): out[0] = mean, out[1] = how many there are.
 *
 * Derivative: each counted loss gets dMean/count.
 * Shapes: losses [N], targets [N] → [2]. Saved: the count. Summed by one thread, in float64, in order.
 */
export const meanLoss = defineOp({
  forward(t, losses: Value, targets: Value) {
    const mean = t.local([2]);
    t.emit('meanLoss', { losses, targets, mean, N: size(losses) });
    return { out: mean, saved: { losses, targets, mean } };
  },
  backward(g, dMean, { losses, targets, mean }) {
    g.add(losses, (dLosses) =>
      g.emit('meanLossBackward', { targets, mean, dMean, dLosses, N: size(losses) }),
    );
  },
});
