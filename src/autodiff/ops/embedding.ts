import { asMatrix, size, type Value } from '../graph.ts';
import { defineOp } from '../recorder.ts';

/**
 * A table look-up: out[n,:] = table[ids[n],:].
 *
 * Derivative: each row of the table sums the gradients of all its uses, dTable[v,:] = Σ_{n: ids[n]=v} dOut[n,:].
 * Shapes: ids [...], table [V,C] → [...,C]. Saved: ids. Threads split the channels, so each sum is in order of n.
 */
export const embedding = defineOp({
  forward(t, ids: Value, table: Value) {
    const { rows: V, columns: C } = asMatrix(table);
    const out = t.local([...ids.shape, C]);
    t.emit('embedding', { ids, table, out, N: size(ids), C });
    return { out, saved: { ids, table, N: size(ids), C, V } };
  },
  backward(g, dOut, { ids, table, N, C, V }) {
    g.add(table, (dTable) => g.emit('embeddingBackward', { ids, dOut, dTable, N, C, V }));
  },
});
