import { Q8_BLOCK } from '../engine/q8.ts';
import { isWeightMatrix, type Parameter } from './parameter.ts';
import type { StorageOf } from './placement.ts';

/**
 * The storage of an inference-only model with its matrices in q8. Norms, biases, adapters and tables of positions stay as they
 * are, and so do matrices whose rows are not whole blocks.
 *
 * @param storageOf of the model otherwise
 */
export const inQ8 =
  (storageOf: StorageOf): StorageOf =>
  (parameter) => {
    const length = rowLength(parameter);
    return length !== undefined && length % Q8_BLOCK === 0 ? 'q8' : storageOf(parameter);
  };

/** The numbers in a row of a matrix as GEMV reads it, [out,in]; undefined for other parameters. */
function rowLength(parameter: Parameter): number | undefined {
  const { role, shape } = parameter;
  if (role === 'linear weight') return shape[0]; // stored as [in,out], and transposed as it is loaded
  return isWeightMatrix(parameter) ? shape[1] : undefined;
}
