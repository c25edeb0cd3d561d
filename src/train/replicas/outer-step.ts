/**
 * The outer optimizer of DiLoCo (Douillard et al. 2023, arXiv:2311.08105, algorithm 1): SGD with Nesterov momentum, whose
 * gradient is how far the replicas have moved since the last synchronization.
 *
 *     g ← mean over replicas of (anchor − parameters)
 *     m ← μ·m + g
 *     anchor ← anchor − λ·(g + μ·m)
 *
 * The form of the momentum is that of torch.optim.SGD with `nesterov=True`.
 */
export interface OuterOptions {
  /** λ; 1 with momentum 0 is the mean of the replicas. */
  readonly learningRate: number;
  /** μ */
  readonly momentum: number;
}

/** The best of those tried in a run with 16 synchronizations (docs/many-machines.md); the paper has 0.7 and 0.9. */
export const [OUTER_LEARNING_RATE, OUTER_MOMENTUM] = [0.9, 0.3];

/**
 * Moves the anchor; computes in float64, and rounds m and the anchor to float32.
 *
 * @param anchor the parameters after the last synchronization
 * @param replicas the parameters of each replica, summed in this order
 */
export function outerStep(
  { learningRate, momentum: decay }: OuterOptions,
  anchor: Float32Array,
  momentum: Float32Array,
  replicas: readonly Float32Array[],
): void {
  for (let i = 0; i < anchor.length; i++) {
    let sum = 0;
    for (const parameters of replicas) sum += anchor[i] - parameters[i];
    const gradient = sum / replicas.length;
    momentum[i] = decay * momentum[i] + gradient;
    anchor[i] -= learningRate * (gradient + decay * momentum[i]);
  }
}

/** The mean of the replicas, summed in their order in float64. */
export function meanOf(replicas: readonly Float32Array[], into: Float32Array): Float32Array {
  for (let i = 0; i < into.length; i++) {
    let sum = 0;
    for (const numbers of replicas) sum += numbers[i];
    into[i] = sum / replicas.length;
  }
  return into;
}
