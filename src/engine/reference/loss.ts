/** Cross-entropy, its gradient, and the rank of the target among the logits. Formulas: autodiff/ops/cross-entropy.ts. */
import { put, type ReferenceArguments } from './view.ts';

export function crossEntropy({
  logits,
  targets,
  losses,
  lse,
  N,
  V,
  smoothing,
}: ReferenceArguments<'crossEntropy'>): void {
  for (let n = 0; n < N; n++) {
    let max = -Infinity;
    for (let v = 0; v < V; v++) max = Math.max(max, logits[n * V + v]);
    let sum = 0;
    for (let v = 0; v < V; v++) sum += Math.exp(logits[n * V + v] - max);
    lse[n] = max + Math.log(sum);
    // Σ q·logits for q = (1 − ε)·onehot(target) + ε/V
    let expected = (1 - smoothing) * logits[n * V + targets[n]];
    if (smoothing > 0) for (let v = 0; v < V; v++) expected += (smoothing / V) * logits[n * V + v];
    losses[n] = targets[n] < 0 ? 0 : max - expected + Math.log(sum);
  }
}

export function crossEntropyBackward({
  logits,
  targets,
  lse,
  dLosses,
  dLogits,
  N,
  V,
  smoothing,
}: ReferenceArguments<'crossEntropyBackward'>): void {
  for (let n = 0; n < N; n++) {
    const d = targets[n] < 0 ? 0 : dLosses[n];
    for (let v = 0; v < V; v++) {
      const q = (v === targets[n] ? 1 - smoothing : 0) + smoothing / V;
      put(dLogits, n * V + v, (Math.exp(logits[n * V + v] - lse[n]) - q) * d);
    }
  }
}

export function targetRank({ logits, targets, ranks, N, V }: ReferenceArguments<'targetRank'>): void {
  for (let n = 0; n < N; n++) {
    const target = targets[n];
    const logit = logits[n * V + target];
    let rank = 0;
    for (let v = 0; v < V; v++) {
      const other = logits[n * V + v];
      if (other > logit || (other === logit && v < target)) rank++;
    }
    ranks[n] = target < 0 ? -1 : rank;
  }
}
