import { asMatrix, ownerOf, type Value } from '../autodiff/graph.ts';
import { plan } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Backend } from '../engine/device.ts';
import { Layout } from '../engine/memory.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterValues, placeModel, tensorsOf, type NamedTensor } from '../model/placement.ts';

/** Activations of a model for a prompt of T tokens. */
export interface Activations {
  readonly config: ModelConfig;
  readonly T: number;
  /** The residual stream [T,C] after the embedding and after each block: L + 1 tensors. */
  readonly residuals: readonly Float32Array[];
  /** Queries [T,H·D], keys and values [T,G·D] of each block, as attention reads them. */
  readonly attention: readonly Readonly<Record<'q' | 'k' | 'v', Float32Array>>[];
  /**
   * Applies the output head to a residual stream, as if no blocks followed: logits [T,V]. For the last stream these are the
   * model's own. Returns a view that the next call overwrites.
   */
  readonly logits: (residual: Float32Array) => Float32Array;
}

/**
 * Runs a forward pass and keeps its activations: it is recorded as usual, and the memory plan preserves the values of
 * interest to the end of the program.
 *
 * @param write receives all parameters as views of memory and writes the weights
 * @param ids 1 to T token ids, T being the context length
 */
export function readActivations(
  backend: Backend,
  config: ModelConfig,
  write: (tensors: NamedTensor[]) => void,
  ids: ArrayLike<number>,
): Activations {
  const { nEmbd: C, vocabSize: V } = config;
  const T = ids.length;
  if (T === 0 || T > config.blockSize)
    throw new RangeError(`${T} tokens do not fit a block of ${config.blockSize}`);
  const layout = new Layout();
  const model = placeModel(config, layout);
  const [idsAt, positionsAt] = [layout.allocate(T, 'i32'), layout.allocate(T, 'i32')];
  const rngAt = layout.allocate(4, 'i32');
  const residualAt = layout.allocate(T * C);
  const arena = layout.end;

  const reading = createTape();
  const { lookup } = parameterValues(reading, model);
  const architecture = architectureOf(config);
  const { residuals, attention } = architecture.forward(reading, config, lookup, {
    ids: reading.external('ids', [1, T], idsAt),
    positions: reading.external('positions', [1, T], positionsAt),
    rng: reading.external('rng', [4], rngAt),
    dropout: 0,
  });
  const program = plan(reading.nodes, arena, [
    ...residuals,
    ...attention.flatMap(({ q, k, v }) => [q, k, v]),
  ]);

  const ending = createTape();
  const p = parameterValues(ending, model).lookup;
  const x = ending.external('residual', [1, T, C], residualAt);
  const logits = architecture.head(ending, config, p, architecture.finalNorm(ending, config, p, x)); // [1,T,V]
  const headProgram = plan(ending.nodes, arena, [logits]);

  backend.reserve(Math.max(program.end, headProgram.end));
  write(tensorsOf(model.block, model.region, backend.floats as Float32Array));
  for (let t = 0; t < T; t++) {
    backend.ints[idsAt.offset + t] = ids[t];
    backend.ints[positionsAt.offset + t] = t;
  }
  backend.load(program.instructions).submit();
  /** The rows of a value, of which a view shows some channels. */
  const copyOf = (value: Value): Float32Array => {
    const { offset } = program.buffer(value);
    const { rows, columns } = asMatrix(value);
    const stride = asMatrix(ownerOf(value)).columns;
    const copy = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      const start = offset + row * stride;
      copy.set(backend.floats.subarray(start, start + columns), row * columns);
    }
    return copy;
  };
  const loadedHead = backend.load(headProgram.instructions);
  return {
    config,
    T,
    residuals: residuals.map(copyOf),
    attention: attention.map(({ q, k, v }) => ({ q: copyOf(q), k: copyOf(k), v: copyOf(v) })),
    logits(residual) {
      backend.floats.set(residual, residualAt.offset);
      loadedHead.submit();
      const { offset } = headProgram.buffer(logits);
      return backend.floats.subarray(offset, offset + T * V) as Float32Array;
    },
  };
}
