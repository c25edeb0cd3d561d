/** Initial values of the weights, the same in every architecture, under both schemes of `initializations`. */
import type { ModelConfig } from '../config.ts';
import { constant, INITIALIZER_RANGE, normal, type Start } from '../parameter.ts';

export interface InitialWeights {
  readonly weight: Start;
  /** Of linear layers that end a residual branch. */
  readonly projection: Start;
  readonly tokenEmbedding: Start;
  readonly positionEmbedding: Start;
  readonly head: Start;
}

/**
 * GPT-2's values are normal with std 0.02, and 0.02/√(2L) for the projections that end a residual branch, so that the variance
 * of the residual stream does not grow with depth (Radford et al. 2019, section 2.3).
 */
export function initialWeights({ nLayer: L, nEmbd: C, tieWordEmbeddings }: ModelConfig): InitialWeights {
  const init = normal(INITIALIZER_RANGE);
  return {
    weight: { init, fanIn: normal(1 / Math.sqrt(C)) },
    projection: { init: normal(INITIALIZER_RANGE / Math.sqrt(2 * L)), fanIn: constant(0) },
    // Embedding rows are looked up, not multiplied, so they may be large, unless they are also the output head.
    tokenEmbedding: tieWordEmbeddings ? { init } : { init, fanIn: normal(0.8) },
    positionEmbedding: { init },
    head: { init, fanIn: normal(0.001) },
  };
}
