/**
 * Sums over the rows of a matrix, for the gradients of biases and of the norms' weights. Rows are divided into blocks, by shape
 * only; one dispatch sums each block into scratch memory, a second one the blocks in order.
 */
import type { Buffer } from '../../instruction.ts';
import type { KernelArguments, KernelName } from '../../signatures.ts';
import type { Dispatch, KernelDispatches } from '../dispatch.ts';
import { elementwise, SIZE } from '../wgsl.ts';

/** At least this many rows in a block, and at most this many blocks. */
const ROWS = 16;
const BLOCKS = 128;

/** Rows per block, and the number of blocks. */
export function blocksOf(rows: number): { readonly perBlock: number; readonly blocks: number } {
  const perBlock = Math.max(ROWS, Math.ceil(rows / BLOCKS));
  return { perBlock, blocks: Math.ceil(rows / perBlock) };
}

interface Shape {
  readonly rows: number;
  readonly columns: number;
}

interface ColumnSum {
  /** Parameter of the role `accumulate` that receives the sums. */
  readonly sums: string;
  /** What is summed, in terms of `row`, the column `c` and the index `i` of both. */
  readonly term: string;
}

/** The dispatches that compute Σ over rows of each term. */
export function columnTerms<K extends KernelName>(
  kernel: K,
  args: KernelArguments<K, Buffer>,
  { rows, columns }: Shape,
  sums: readonly ColumnSum[],
): Dispatch[] {
  const { perBlock, blocks } = blocksOf(rows);
  return sums.flatMap(({ sums: name, term }) => {
    const partial = elementwise(
      `let c = i % ${columns}u;
  let first = i / ${columns}u * ${perBlock}u;
  scratch[i] = sumOfRows(first, min(first + ${perBlock}u, ${rows}u), c);`,
      `${blocks * columns}u`,
    );
    const sumOfRows = /* wgsl */ `
fn sumOfRows(first: u32, end: u32, c: u32) -> f32 {
  var sum = 0.0;
  for (var row = first; row < end; row++) {
    let i = row * ${columns}u + c;
    sum += ${term};
  }
  return sum;
}`;
    const total = elementwise(
      `var sum = 0.0;
  for (var block = 0u; block < ${blocks}u; block++) { sum += scratch[block * ${columns}u + i]; }
  put(args.${name} + i, sum, args.${name}_accumulates);`,
      `${columns}u`,
    );
    const scratch = blocks * columns;
    const common = { kernel, args } as unknown as Pick<Dispatch, 'kernel' | 'args'>;
    return [
      { ...common, shader: sumOfRows + partial, workgroups: Math.ceil(scratch / SIZE), scratch },
      { ...common, shader: total, workgroups: Math.ceil(columns / SIZE) },
    ];
  });
}

export const columnSums: KernelDispatches<'columnSums'> = (args) =>
  columnTerms('columnSums', args, { rows: args.M, columns: args.N }, [
    { sums: 'sums', term: 'memory[args.x + i]' },
  ]);
