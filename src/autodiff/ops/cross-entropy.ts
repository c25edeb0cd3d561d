import { asMatrix, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * losses[n] = −log softmax(logits[n,:])[target[n]], in nats, fused with the softmax: log Σ exp − the target's logit.
 * A target below 0 is ignored.
 *
 * With label smoothing ε (Szegedy et al. 2016), the cross-entropy with q = (1 − ε)·onehot(target) + ε/V, as in
 * `torch.nn.functional.cross_entropy`: log Σ exp − Σ q·logits.
 *
 * Derivative: dLogits = (softmax(logits) − q)·dLoss: the softmax's derivative and the logarithm's cancel.
 * Shapes: logits [...,V], targets [...] → [N]. Saved: logits, log-sum-exp [N]. Threads split the rows.
 */
export const crossEntropy = defineOp({
  forward(t, logits: Value, targets: Value, smoothing: number = 0) {
    const { rows: N, columns: V } = asMatrix(logits);
    const losses = t.local([N]);
    const lse = t.local([N]);
    t.emit('crossEntropy', { logits, targets, losses, lse, N, V, smoothing });
    return { out: losses, saved: { logits, targets, lse, N, V, smoothing } };
  },
  backward(g, dLosses, { logits, targets, lse, N, V, smoothing }) {
    g.add(
      logits,
      (dLogits) =>
        g.emit('crossEntropyBackward', { logits, targets, lse, dLosses, dLogits, N, V, smoothing }),
      { isOfLogits: true },
    );
  },
});
