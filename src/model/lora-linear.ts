import type { Value } from '../autodiff/graph.ts';
import type { Randomness } from '../autodiff/ops/dropout.ts';
import type { Tape } from '../autodiff/tape.ts';
import { factorNames, scalingOf, type LoraConfig } from './lora.ts';

/** Number of the first adapter's dropout, above those of all architectures, so that each has a random stream of its own. */
const FIRST_SITE = 2 ** 20;

/**
 * Makes the tape add adapters to the linear layers it records from here on: y + s·(dropout(x)·Aᵀ)·Bᵀ. An architecture need
 * not know of them.
 *
 * @param values parameters by name, of which those with names of factors are the adapters
 * @param randomness of the dropout before A; absent outside training
 */
export function adaptLinearLayers(
  t: Tape,
  lora: LoraConfig,
  values: ReadonlyMap<string, Value>,
  randomness?: Randomness,
): void {
  const factors = new Map<Value, { readonly A: Value; readonly B: Value; readonly site: number }>();
  for (const [name, W] of values) {
    const { A, B } = factorNames(name);
    if (A === name || !values.has(A)) continue;
    factors.set(W, { A: values.get(A)!, B: values.get(B)!, site: FIRST_SITE + factors.size });
  }
  const plain = t.linear;
  const scaling = scalingOf(lora);
  t.linear = (x, W, bias, options) => {
    const y = plain(x, W, bias, options);
    const factor = factors.get(W);
    if (factor === undefined) return y;
    const { A, B, site } = factor;
    return t.scope('lora', () => {
      const input =
        randomness !== undefined && randomness.probability > 0 ? t.dropout(x, randomness, site) : x;
      const low = t.scope('A', () => plain(input, A, null, { transposed: true })); // [...,r]
      const scaled = scaling === 1 ? low : t.scale(low, scaling);
      return t.scope('B', () => plain(scaled, B, null, { transposed: true, addTo: y }));
    });
  };
}
