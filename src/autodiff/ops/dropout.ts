import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/** Source of the random numbers, and the dropout probability. */
export interface Randomness {
  /** int32 [4]: two key words (the seed) and two counter words (the step, the micro-batch). */
  readonly rng: Value;
  readonly probability: number;
}

/** Arguments of the kernel; the site gives each op its own random stream. */
export const dropoutArguments = (probability: number, site: number) => ({
  site,
  threshold: Math.min(2 ** 32 - 1, Math.round(probability * 2 ** 32)) | 0,
  scale: 1 / (1 - probability),
});

/**
 * y = x·mask/(1 − p): each element is zeroed with probability p (Srivastava et al. 2014; "inverted" dropout, which
 * leaves evaluation unchanged).
 *
 * Derivative: dX = dY·mask/(1 − p). The mask is not saved: a counter-based generator reproduces it.
 * Shapes: all equal. Saved: nothing. Threads split the elements.
 */
export const dropout = defineOp({
  forward(t, x: Value, { rng, probability }: Randomness, site: number) {
    const y = t.local(x.shape);
    const draw = dropoutArguments(probability, site);
    t.emit('dropout', { x, rng, y, n: size(x), ...draw });
    return { out: y, saved: { x, rng, draw } };
  },
  backward(g, dY, { x, rng, draw }) {
    g.add(x, (dX) => g.emit('dropout', { x: dY, rng, y: dX, n: size(x), ...draw }));
  },
});
