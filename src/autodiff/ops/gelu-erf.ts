import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * The exact Gaussian error linear unit (Hendrycks & Gimpel 2016, section 2), PyTorch's default and nanoGPT's:
 *   y = x·Φ(x), Φ(x) = ½(1 + erf(x/√2)).
 *
 * Derivative: dX = dY·(Φ(x) + x·φ(x)), φ(x) = e^(−x²/2)/√(2π).
 * Shapes: all equal. Saved: x. Threads split the elements.
 */
export const geluErf = defineOp({
  forward(t, x: Value) {
    const compute = (): Value => {
      const y = t.local(x.shape);
      t.emit('geluErf', { x, y, n: size(x) });
      return y;
    };
    const y = compute();
    t.mayRecompute(y, compute);
    return { out: y, saved: { x } };
  },
  backward(g, dY, { x }) {
    g.add(x, (dX) => g.emit('geluErfBackward', { x, dY, dX, n: size(x) }));
  },
});
