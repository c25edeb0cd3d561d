import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = max(x, 0), the activation of the original Transformer (Vaswani et al. 2017, equation 2).
 *
 * Derivative: dX = dY where x > 0, else 0 (also at 0, as in PyTorch).
 * Shapes: all equal. Saved: x. Threads split the elements.
 */
export const relu = defineOp({
  forward(t, x: Value) {
    const y = t.local(x.shape);
    t.emit('relu', { x, y, n: size(x) });
    return { out: y, saved: { x } };
  },
  backward(g, dY, { x }) {
    g.add(x, (dX) => g.emit('reluBackward', { x, dY, dX, n: size(x) }));
  },
});
