/** What a model costs to train, from its shape alone: nothing is built, however large it is. */

/**
 * Each parameter multiplies and adds once in the forward pass, and twice in the backward pass: once for the gradient of what
 * came in, once for its own (Kaplan et al. 2020, section 2.1; appendix D of Brown et al. 2020 counts the same way).
 */
export const FLOPS_PER_PARAMETER = 6;

/** The floating-point operations of training on so many tokens, by the rule C = 6·N·D. */
export const trainingFlops = (
  parameters: number,
  tokens: number,
  flopsPerParameter = FLOPS_PER_PARAMETER,
): number => flopsPerParameter * parameters * tokens;
