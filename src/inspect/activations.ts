import { asMatrix, ownerOf, type Value } from '../autodiff/graph.ts';
import { plan, type Program } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Device } from '../engine/device.ts';
import { Layout } from '../engine/memory.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterValues, placeModel, tensorsOf, type StorageOf } from '../model/placement.ts';
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
  storageOf?: StorageOf,
): Promise<Activations> {
  const T = ids.length;
  if (T === 0) throw new RangeError('there are no tokens to read');
  if (T > config.blockSize)
    throw new RangeError(`${T} tokens exceed the context length of ${config.blockSize}`);
  const { model, inputs, forward, head } = planReading(config, T, storageOf);
  device.reserve(Math.max(forward.program.end, head.program.end));
  load(tensorsOf(device, model.block, model.region));
  device.write(inputs.ids.offset, Int32Array.from(ids));
  device.write(
    inputs.positions.offset,
    Int32Array.from({ length: T }, (_, t) => t),
  );
  device.load(forward.program.instructions).submit();
  const copyOf = (value: Value): Promise<Float32Array> => readRows(device, forward.program, value);
  const loadedHead = device.load(head.program.instructions);
  const logitsAt = head.program.buffer(head.logits).offset;
  const logitsRead = new Float32Array(T * config.vocabSize);
  return {
    config,
    T,
    residuals: await Promise.all(forward.residuals.map(copyOf)),
    attention: await Promise.all(
      forward.attention.map(async ({ q, k, v }) => ({
        q: await copyOf(q),
        k: await copyOf(k),
        v: await copyOf(v),
      })),
    ),
    logits(residual) {
      device.write(inputs.residual.offset, residual);
      loadedHead.submit();
      return device.read(logitsAt, logitsRead);
    },
  };
}

/** Records and plans two programs: the forward pass for T tokens, and the output head for any residual stream. */
function planReading(config: ModelConfig, T: number, storageOf: StorageOf | undefined) {
  const layout = new Layout();
  const model = placeModel(config, layout, storageOf);
  const inputs = {
    ids: layout.allocate(T, 'i32'),
    positions: layout.allocate(T, 'i32'),
    rng: layout.allocate(4, 'i32'),
    residual: layout.allocate(T * config.nEmbd),
  };
  const arena = layout.end;
  const architecture = architectureOf(config);

  const reading = createTape();
  const { lookup } = parameterValues(reading, model);
  const { residuals, attention } = architecture.forward(reading, config, lookup, {
    ids: reading.external('ids', [1, T], inputs.ids),
    positions: reading.external('positions', [1, T], inputs.positions),
    rng: reading.external('rng', [4], inputs.rng),
    dropout: 0,
  });
  const kept = [...residuals, ...attention.flatMap(({ q, k, v }) => [q, k, v])];

  const ending = createTape();
  const p = parameterValues(ending, model).lookup;
  const x = ending.external('residual', [1, T, config.nEmbd], inputs.residual);
  const logits = architecture.head(ending, config, p, architecture.finalNorm(ending, config, p, x)); // [1,T,V]
  return {
    model,
    inputs,
    forward: { residuals, attention, program: plan(reading.nodes, arena, kept) },
    head: { logits, program: plan(ending.nodes, arena, [logits]) },
  };
}

/** Copies the rows of a value; the rows of a view are strided. */
async function readRows(device: Device, program: Program, value: Value): Promise<Float32Array> {
  const { offset } = program.buffer(value);
  const { rows, columns } = asMatrix(value);
  const stride = asMatrix(ownerOf(value)).columns;
  const copy = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    await device.read(offset + row * stride, copy.subarray(row * columns, (row + 1) * columns));
  return copy;
}
