import type { Buffer } from '../instruction.ts';
import type { KernelArguments, KernelName } from '../signatures.ts';
import type { Tiles } from './tiles.ts';

/** One dispatch of a compute shader. */
export interface Dispatch<K extends KernelName = KernelName> {
  /** The kernel whose struct of arguments the shader reads. */
  readonly kernel: K;
  readonly args: KernelArguments<K, Buffer>;
  /** WGSL without its declarations of memory and arguments; the entry point is `main`. */
  readonly shader: string;
  /** Workgroups in each dimension; of a single number, see `workgroupsFor`. */
  readonly workgroups: number | readonly [x: number, y: number, z: number];
  /** Elements of scratch memory, which the dispatches of a program share. */
  readonly scratch?: number;
}

/**
 * How a kernel runs: as one dispatch, or as several in order. Each sees what those before it have written.
 *
 * @param tiles those chosen for this GPU
 */
export type KernelDispatches<K extends KernelName> = (
  args: KernelArguments<K, Buffer>,
  tiles?: Tiles,
) => readonly Dispatch[];

/** The least limit of workgroups in one dimension that an adapter may have. */
const MAX_WORKGROUPS = 65_535;

/** Beyond the limit of one dimension, workgroups form a grid; shaders compute group.y·groups.x + group.x. */
export function workgroupsFor(count: number): readonly [number, number, number] {
  if (count <= MAX_WORKGROUPS) return [Math.max(1, count), 1, 1];
  const rows = Math.ceil(count / MAX_WORKGROUPS);
  return [Math.ceil(count / rows), rows, 1];
}
