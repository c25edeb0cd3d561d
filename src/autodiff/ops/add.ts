import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * y = a + b, element by element: the residual connection.
 *
 * Derivative: dA = dY and dB = dY, at no cost: both share dY's buffer until something is added to one of them.
 * Shapes: all equal. Saved: nothing. Threads split the elements.
 */
export const add = defineOp({
  forward(t, a: Value, b: Value) {
    if (size(a) !== size(b)) throw new Error(`add: [${a.shape.join(',')}] and [${b.shape.join(',')}] differ`);
    const y = t.local(a.shape);
    t.emit('add', { a, b, y, n: size(a) });
    return { out: y, saved: { a, b } };
  },
  backward(g, dY, { a, b }) {
    g.pass(a, dY);
    g.pass(b, dY);
  },
});
