/** New rows of the token embedding and the output head, for tokens that a trained model's vocabulary did not have. */
import { elements } from './parameters.ts';
import { writeTensor, type TensorTarget } from './tensor.ts';

/** Ids of new tokens: `first` to `end` − 1. The rows before `first` are those of the trained model. */
export interface NewRows {
  readonly first: number;
  readonly end: number;
}

/**
 * A target for a table [V,C] of a trained model within that of a larger vocabulary. Once the table is complete, the new
 * rows become the mean of the trained ones, so that a new token is at most as likely as an average one, and the others hardly
 * change (Hewitt 2021).
 *
 * @param shape of the trained model's table
 */
export function withNewRows(
  target: TensorTarget,
  shape: readonly number[],
  { first, end }: NewRows,
): TensorTarget {
  const C = shape[1];
  const sums = new Float64Array(C);
  let missing = elements(shape);
  return {
    name: target.name,
    shape,
    write(numbers, start = 0) {
      const trained = Math.min(numbers.length, first * C - start);
      for (let i = 0; i < trained; i++) sums[(start + i) % C] += numbers[i];
      writeTensor(target, numbers, start);
      missing -= numbers.length;
      if (missing > 0) return;
      const mean = Float32Array.from(sums, (sum) => sum / first);
      for (let row = first; row < end; row++) writeTensor(target, mean, row * C);
    },
  };
}
