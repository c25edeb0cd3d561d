/** Optimizer options of a timed step; their values do not affect its duration. */
export const optimizerOptions = (optimizer) => ({
  optimizer,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.95,
  gradClip: 1,
});
