/**
 * The layout of linear layers' weights for decoding: [out,in] instead of [in,out]. The weights of each output are then
 * contiguous, so a thread that computes some outputs of one token streams through its share of the matrix.
 */
import type { Device } from '../engine/device.ts';
import type { PlacedModel } from './placement.ts';
import { tensorsOf } from './placement.ts';
import { gathered, gatheredHalf, Scratch, type TensorTarget } from './tensor.ts';

/** A model as `transposingTargets` leaves it in memory. */
export const transposed = (model: PlacedModel): PlacedModel => ({ ...model, transposed: true });

/** A model with linear weights in q8 is stored transposed: the blocks of q8 are along [in]. */
export const asStored = (model: PlacedModel): PlacedModel =>
  model.block.parameters.some(
    ({ parameter, storage }) => parameter.role === 'linear weight' && storage === 'q8',
  )
    ? transposed(model)
    : model;

/** Targets for loading the parameters of a model, one after another; weights of linear layers are transposed while loading. */
export function transposingTargets(device: Device, model: PlacedModel): TensorTarget[] {
  const [whole, result] = [new Scratch(), new Scratch()];
  return tensorsOf(device, model.block, model.region).map((tensor, i) => {
    const { role, shape } = model.block.parameters[i].parameter;
    if (role !== 'linear weight') return tensor;
    const [rows, columns] = shape;
    const { half } = tensor;
    if (half !== undefined)
      return gatheredHalf(tensor, half.storage, {
        scratch: whole,
        use(x) {
          const y = result.takeHalves(x.length);
          transpose(x, rows, columns, y);
          half.write(y, 0);
        },
      });
    return gathered(tensor, whole, (x) => {
      const y = result.take(x.length);
      transpose(x, rows, columns, y);
      tensor.write(y);
    });
  });
}

/** Writes x [rows,columns] to y [columns,rows], in squares small enough for both to stay in the L1 cache. */
export function transpose<T extends Float32Array | Uint16Array>(
  x: T,
  rows: number,
  columns: number,
  y: T,
): void {
  const side = 16;
  for (let top = 0; top < rows; top += side)
    for (let left = 0; left < columns; left += side)
      for (let c = left; c < Math.min(left + side, columns); c++)
        for (let r = top; r < Math.min(top + side, rows); r++) y[c * rows + r] = x[r * columns + c];
}
