/** Training cost of a model, computed from its shape without building it. */

/**
 * A multiplication and an addition in the forward pass, and twice that in the backward pass, for the gradients of input and
 * weight (Kaplan et al. 2020, section 2.1; Brown et al. 2020, appendix D).
 */
export const FLOPS_PER_PARAMETER = 6;

/** FLOPs of training, by the rule C = 6·N·D. */
export const trainingFlops = (
  parameters: number,
  tokens: number,
  flopsPerParameter = FLOPS_PER_PARAMETER,
): number => flopsPerParameter * parameters * tokens;
