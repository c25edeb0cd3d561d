import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * The Gaussian error linear unit in its tanh form, GPT-2's gelu_new (Hendrycks & Gimpel 2016, section 2):
 *   y = ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³).
 *
 * Derivative: dX = dY·(½(1 + tanh u) + ½x(1 − tanh² u)·√(2/π)(1 + 3·0.044715x²)).
 * Shapes: all equal. Saved: x. Threads split the elements.
 */
export const gelu = defineOp({
  forward(t, x: Value) {
    const compute = (): Value => {
      const y = t.local(x.shape);
      t.emit('gelu', { x, y, n: size(x) });
      return y;
    };
    const y = compute();
    t.mayRecompute(y, compute);
    return { out: y, saved: { x } };
  },
  backward(g, dY, { x }) {
    g.add(x, (dX) => g.emit('geluBackward', { x, dY, dX, n: size(x) }));
  },
});
