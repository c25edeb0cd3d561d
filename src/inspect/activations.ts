import { asMatrix, ownerOf, type Value } from '../autodiff/graph.ts';
import { plan } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Device } from '../engine/device.ts';
import { Layout } from '../engine/memory.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterValues, placeModel, tensorsOf } from '../model/placement.ts';
import type { TensorTarget } from '../model/tensor.ts';

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
   * model's own. The next call overwrites the array.
   */
  readonly logits: (residual: Float32Array) => Promise<Float32Array>;
}

/**
 * Runs a forward pass and keeps its activations: it is recorded as usual, and the memory plan preserves the values of
 * interest to the end of the program.
 *
 * @param load loads all parameters
 * @param ids 1 to T token ids, T being the context length
 */
export async function readActivations(
  device: Device,
  config: ModelConfig,
  load: (targets: TensorTarget[]) => void,
  ids: ArrayLike<number>,
): Promise<Activations> {
  const { nEmbd: C, vocabSize: V } = config;
  const T = ids.length;
  if (T === 0) throw new RangeError('there are no tokens to read');
  if (T > config.blockSize)
    throw new RangeError(`${T} tokens exceed the context length of ${config.blockSize}`);
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

  device.reserve(Math.max(program.end, headProgram.end));
  load(tensorsOf(device, model.block, model.region));
  device.write(idsAt.offset, Int32Array.from(ids));
  device.write(
    positionsAt.offset,
    Int32Array.from({ length: T }, (_, t) => t),
  );
  device.load(program.instructions).submit();
  /** The rows of a value, of which a view shows some channels. */
  const copyOf = async (value: Value): Promise<Float32Array> => {
    const { offset } = program.buffer(value);
    const { rows, columns } = asMatrix(value);
    const stride = asMatrix(ownerOf(value)).columns;
    const copy = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++)
      await device.read(offset + row * stride, copy.subarray(row * columns, (row + 1) * columns));
    return copy;
  };
  const loadedHead = device.load(headProgram.instructions);
  const logitsAt = headProgram.buffer(logits).offset;
  const logitsRead = new Float32Array(T * V);
  return {
    config,
    T,
    residuals: await Promise.all(residuals.map(copyOf)),
    attention: await Promise.all(
      attention.map(async ({ q, k, v }) => ({ q: await copyOf(q), k: await copyOf(k), v: await copyOf(v) })),
    ),
    logits(residual) {
      device.write(residualAt.offset, residual);
      loadedHead.submit();
      return device.read(logitsAt, logitsRead);
    },
  };
}
