import type { Buffer } from '../instruction.ts';
import type { KernelArguments, KernelName } from '../signatures.ts';
import type { MatmulPrecision } from '../matmul-precision.ts';
import { STANDARD_TILES, type Tiles } from './tiles.ts';

/** One dispatch of a compute shader. */
export interface Dispatch<K extends KernelName = KernelName> {
  /** The kernel whose struct of arguments the shader reads. */
  readonly kernel: K;
  readonly args: KernelArguments<K, Buffer>;
  /** WGSL without its declarations of memory and arguments; the entry point is `main`. */
  readonly shader: string;
  /** Extensions of WGSL that it enables. */
  readonly extensions?: readonly string[];
  /** Diagnostics of WGSL that it switches off. */
  readonly allowed?: readonly string[];
  /** Workgroups in each dimension; of a single number, see `workgroupsFor`. */
  readonly workgroups: number | readonly [x: number, y: number, z: number];
  /** Elements of scratch memory, which the dispatches of a program share. */
  readonly scratch?: number;
}

/** How GEMM is computed. */
export interface GemmChoice {
  readonly tiles: Tiles;
  readonly precision: MatmulPrecision;
}

export const STANDARD_GEMM: GemmChoice = { tiles: STANDARD_TILES, precision: 'float32' };

/**
 * How a kernel runs: as one dispatch, or as several in order. Each sees what those before it have written.
 *
 * @param choice what was chosen for this GPU
 */
export type KernelDispatches<K extends KernelName> = (
  args: KernelArguments<K, Buffer>,
  choice?: GemmChoice,
) => readonly Dispatch[];

/** The number of workgroups in one dimension that every adapter supports. */
const MAX_WORKGROUPS = 65_535;

/** Beyond the limit of one dimension, workgroups form a grid; shaders compute group.y·groups.x + group.x. */
export function workgroupsFor(count: number): readonly [number, number, number] {
  if (count <= MAX_WORKGROUPS) return [Math.max(1, count), 1, 1];
  const rows = Math.ceil(count / MAX_WORKGROUPS);
  return [Math.ceil(count / rows), rows, 1];
}
