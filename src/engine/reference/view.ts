/** The types of the reference kernels, derived from engine/signatures.ts: the argument of each role. */
import type { Floats } from '../device.ts';
import type { KernelName, Role, Signatures } from '../signatures.ts';

/** An output that is overwritten or accumulated into. */
export interface Sum {
  readonly data: Floats;
  readonly accumulate: boolean;
}

/** sum[i] (+)= value. */
export function put(sum: Sum, i: number, value: number): void {
  sum.data[i] = sum.accumulate ? sum.data[i] + value : value;
}

/** The argument of a reference kernel for each role. */
interface Views extends Record<Role, unknown> {
  read: Floats;
  optional: Floats | null;
  weights: Floats;
  write: Floats;
  accumulate: Sum;
  update: Floats;
  ids: Int32Array;
  optionalIds: Int32Array | null;
  size: number;
  scalar: number;
  constants: Float32Array;
}

export type ReferenceArguments<K extends KernelName> = {
  readonly [P in keyof Signatures[K]]: Signatures[K][P] extends Role ? Views[Signatures[K][P]] : never;
};
export type ReferenceKernel<K extends KernelName> = (args: ReferenceArguments<K>) => void;
