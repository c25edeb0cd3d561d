/** The recipe of a step that is timed: the values do not change how long it takes. */
export const optimizerOptions = (optimizer) => ({
  optimizer,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.95,
  gradClip: 1,
});
