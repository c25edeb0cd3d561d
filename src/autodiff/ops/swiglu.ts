import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * SwiGLU, the gated linear unit with SiLU as its gate (Shazeer 2020, equation 6): y = silu(gate)·up, silu(x) = x·σ(x),
 * σ(x) = 1/(1 + e^(−x)).
 *
 * Derivative: dUp = dY·silu(gate), dGate = dY·up·σ(gate)·(1 + gate·(1 − σ(gate))).
 * Shapes: all equal. Saved: gate, up. Threads split the elements.
 */
export const swiglu = defineOp({
  forward(t, gate: Value, up: Value) {
    const compute = (): Value => {
      const y = t.local(gate.shape);
      t.emit('swiglu', { gate, up, y, n: size(gate) });
      return y;
    };
    const y = compute();
    t.mayRecompute(y, compute);
    return { out: y, saved: { gate, up } };
  },
  backward(g, dY, { gate, up }) {
    g.addTogether([gate, up], ([dGate, dUp]) =>
      g.emit('swigluBackward', { gate, up, dY, dGate, dUp, n: size(gate) }),
    );
  },
});
