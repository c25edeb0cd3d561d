import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = factor·x, for a factor that does not change during a run.
 *
 * Derivative: dX = factor·dY.
 * Shapes: equal. Saved: nothing. Threads split the elements.
 */
export const scale = defineOp({
  forward(t, x: Value, factor: number) {
    const y = t.local(x.shape);
    t.emit('scale', { x, y, n: size(x), factor });
    return { out: y, saved: { x, factor } };
  },
  backward(g, dY, { x, factor }) {
    g.add(x, (dX) => g.emit('scale', { x: dY, y: dX, n: size(x), factor }));
  },
});
