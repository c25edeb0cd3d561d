import { size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/** Where random numbers come from: the seed and step in memory, and the probability of dropping. */
export interface Randomness {
  /** int32 [4]: two key words (the seed) and two counter words (the step, the micro-batch). */
  readonly rng: Value;
  readonly probability: number;
}

/** The kernels' view of a dropout: the site tells the draws of one op from those of another. */
export const dropoutArguments = (probability: number, site: number) => ({
  site,
  threshold: Math.min(2 ** 32 - 1, Math.round(probability * 2 ** 32)) | 0,
  scale: 1 / (1 - probability),
});

/**
 * y = x·mask/(1 − p): each element is zeroed with probability p (Srivastava et al. 2014; "inverted", so that evaluation
 * does nothing at all).
 *
 * Derivative: dX = dY·mask/(1 − p). The mask is not saved: a counter-based generator draws it again.
 * Shapes: all alike. Saved: nothing. Threads split the elements.
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
