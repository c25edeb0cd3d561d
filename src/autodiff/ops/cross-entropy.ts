import { asMatrix, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * losses[n] = −log softmax(logits[n,:])[target[n]], in nats, fused with the softmax: log Σ exp − the target's logit.
 * A target below 0 is ignored.
 *
 * Derivative: dLogits = (softmax(logits) − onehot(target))·dLoss: the softmax's derivative and the logarithm's cancel.
 * Shapes: logits [...,V], targets [...] → [N]. Saved: logits, log-sum-exp [N]. Threads split the rows.
 */
export const crossEntropy = defineOp({
  forward(t, logits: Value, targets: Value) {
    const { rows: N, columns: V } = asMatrix(logits);
    const losses = t.local([N]);
    const lse = t.local([N]);
    t.emit('crossEntropy', { logits, targets, losses, lse, N, V });
    return { out: losses, saved: { logits, targets, lse, N, V } };
  },
  backward(g, dLosses, { logits, targets, lse, N, V }) {
    g.add(logits, (dLogits) =>
      g.emit('crossEntropyBackward', { logits, targets, lse, dLosses, dLogits, N, V }),
    );
  },
});
