/**
 * Which rank sums the gradients of which parameters, and updates them (ZeRO stage 1, Rajbhandari et al. 2020: only the owner
 * of a parameter needs its moments).
 *
 * The block of trained parameters is cut into buckets, so that gradients are sent while the backward pass still computes
 * others. Each bucket is divided among all ranks, or else they would all send to one of them at a time. Cuts are at multiples
 * of NORM_BLOCK, within which one process sums the squares, and never within a matrix that Muon orthogonalizes.
 */
import { NORM_BLOCK } from '../../engine/signatures.ts';
import { orthogonalizationFlops } from '../muon.ts';
import type { MatrixPlace, Range } from '../record-update.ts';

/** Elements of the block that one rank owns. */
export interface Slice extends Range {
  readonly owner: number;
}

export interface Bucket extends Range {
  readonly slices: readonly Slice[];
}

/** Elements at which a bucket is full, 4 MiB. Its last matrix may make it larger. */
export const BUCKET = 2 ** 20;

/** Cost of an element-wise update, in floating-point operations of a GEMM that takes as long. */
const FLOPS_PER_ELEMENT = 100;

/** A part of a bucket that is not divided further. */
interface Piece extends Range {
  readonly cost: number;
}

/**
 * @param length of the block of trained parameters
 * @param matrices those that are updated as a whole, in the order of the block
 */
export function divideParameters(length: number, matrices: readonly MatrixPlace[], ranks: number): Bucket[] {
  if (ranks === 1) return [{ start: 0, end: length, slices: [{ owner: 0, start: 0, end: length }] }];
  const loads = Array.from({ length: ranks }, () => 0);
  return bucketsOf(length, matrices).map((units) => {
    const slices = units
      .flatMap((unit) => piecesOf(unit, ranks))
      .map(({ cost, ...range }): Slice => {
        const owner = loads.indexOf(Math.min(...loads));
        loads[owner] += cost;
        return { owner, ...range };
      });
    return { start: units[0].start, end: units.at(-1)!.end, slices: merged(slices) };
  });
}

/** A matrix, or elements that can be divided anywhere. */
type Unit = Range & { readonly matrix?: MatrixPlace };

/** The buckets, from the start of the block to its end. */
function bucketsOf(length: number, matrices: readonly MatrixPlace[]): Unit[][] {
  const buckets: Unit[][] = [];
  let filled = Infinity;
  const put = (unit: Unit): void => {
    if (filled >= BUCKET) {
      buckets.push([]);
      filled = 0;
    }
    buckets.at(-1)!.push(unit);
    filled += unit.end - unit.start;
  };
  const putElements = (start: number, end: number): void => {
    for (let at = start; at < end; at += BUCKET) put({ start: at, end: Math.min(end, at + BUCKET) });
  };
  let end = 0;
  for (const matrix of matrices) {
    putElements(end, matrix.start);
    end = matrix.start + matrix.paddedLength;
    put({ start: matrix.start, end, matrix });
  }
  putElements(end, length);
  return buckets;
}

function piecesOf({ start, end, matrix }: Unit, ranks: number): Piece[] {
  const elementwise = (from: number, to: number): number => FLOPS_PER_ELEMENT * (to - from);
  if (matrix !== undefined)
    return [{ start, end, cost: elementwise(start, end) + orthogonalizationFlops(matrix.shape) }];
  const blocks = Math.ceil((end - start) / NORM_BLOCK);
  const parts = Math.min(ranks, blocks);
  const cut = (part: number): number =>
    Math.min(end, start + NORM_BLOCK * Math.floor((blocks * part) / parts));
  return Array.from({ length: parts }, (_, i) => {
    const [from, to] = [cut(i), cut(i + 1)];
    return { start: from, end: to, cost: elementwise(from, to) };
  });
}

/** Joins adjacent slices of one owner. */
function merged(slices: readonly Slice[]): Slice[] {
  const joined: Slice[] = [];
  for (const slice of slices) {
    const last = joined.at(-1);
    if (last?.owner === slice.owner && last.end === slice.start)
      joined[joined.length - 1] = { ...last, end: slice.end };
    else joined.push(slice);
  }
  return joined;
}
