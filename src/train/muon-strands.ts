/** Divides Muon's small matrices into strands, each of which one thread runs without barriers. */
import { size } from '../autodiff/graph.ts';
import type { Recorder } from '../autodiff/recorder.ts';
import { orthogonalizationFlops, recordMuon, type Matrix, type MuonScale } from './muon.ts';

/** Matrices of up to this many elements are in strands, up to 256 × 704. Larger ones, shared by all threads, need less memory. */
const MAX_IN_STRAND = 200_000;
/**
 * More would divide the work more evenly, but each strand needs its own memory. With more threads than strands, all threads
 * share every instruction.
 */
const MAX_STRANDS = 16;

/** Records the updates of matrices. Their order does not matter, since none depends on another. */
export function recordMatrices(t: Recorder, matrices: readonly Matrix[], muonScale: MuonScale): void {
  const record = (matrix: Matrix): void => t.scope(matrix.name, () => recordMuon(t, matrix, muonScale));
  const isSmall = ({ x }: Matrix): boolean => size(x) <= MAX_IN_STRAND;
  for (const matrix of matrices) if (!isSmall(matrix)) record(matrix);
  for (const strand of balanced(matrices.filter(isSmall))) t.strand(() => strand.forEach(record));
}

/**
 * Divides matrices into strands of about equal cost: the costliest matrix first, each joins the cheapest strand so far. Strands
 * start in descending order of cost, so that threads end at about the same time.
 */
function balanced(matrices: readonly Matrix[]): Matrix[][] {
  const costOf = ({ shape }: Matrix): number => orthogonalizationFlops(shape);
  const strands = Array.from({ length: Math.min(MAX_STRANDS, matrices.length) }, () => ({
    cost: 0,
    matrices: [] as Matrix[],
  }));
  for (const matrix of matrices.toSorted((a, b) => costOf(b) - costOf(a))) {
    const lightest = strands.reduce((a, b) => (b.cost < a.cost ? b : a));
    lightest.cost += costOf(matrix);
    lightest.matrices.push(matrix);
  }
  return strands.toSorted((a, b) => b.cost - a.cost).map((strand) => strand.matrices);
}
