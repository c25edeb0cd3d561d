/**
 * The singular values of a matrix, largest first: square roots of the eigenvalues of A·Aᵀ, by cyclic Jacobi rotations (Golub &
 * Van Loan, section 8.5).
 *
 * @param numbers [rows, columns], row-major; rows ≤ columns
 */
export function singularValues(numbers, [rows, columns]) {
  const A = Array.from({ length: rows }, (_, i) =>
    Float64Array.from({ length: rows }, (_j, j) => {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += numbers[i * columns + c] * numbers[j * columns + c];
      return sum;
    }),
  );
  const offDiagonal = () =>
    A.reduce((sum, each, i) => sum + each.reduce((s, x, j) => s + (i === j ? 0 : x * x), 0), 0);
  const total = A.reduce((sum, each) => sum + each.reduce((s, x) => s + x * x, 0), 0);
  while (offDiagonal() > 1e-28 * total)
    for (let p = 0; p < rows; p++)
      for (let q = p + 1; q < rows; q++) {
        if (A[p][q] === 0) continue;
        const tau = (A[q][q] - A[p][p]) / (2 * A[p][q]);
        const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
        const c = 1 / Math.hypot(1, t);
        const s = t * c;
        for (const each of A) {
          const [x, y] = [each[p], each[q]];
          each[p] = c * x - s * y;
          each[q] = s * x + c * y;
        }
        const [P, Q] = [A[p], A[q]];
        for (let k = 0; k < rows; k++) {
          const [x, y] = [P[k], Q[k]];
          P[k] = c * x - s * y;
          Q[k] = s * x + c * y;
        }
      }
  return A.map((each, i) => Math.sqrt(Math.max(0, each[i]))).toSorted((a, b) => b - a);
}
