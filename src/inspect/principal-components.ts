/** Principal component analysis (Pearson 1901; Hotelling 1933) by orthogonal iteration (Golub & Van Loan, section 8.2.4). */

/** Points projected onto their first two principal components. */
export interface PlaneProjection {
  /** x and y of each point. */
  readonly points: readonly (readonly [number, number])[];
  /** Share of the variance explained by each of the two components. */
  readonly explained: readonly [number, number];
}

/** More directions than needed are iterated, so the error shrinks by λ₉/λ₂ per iteration instead of λ₃/λ₂. */
const DIRECTIONS = 8;
const MAX_ROUNDS = 500;

/**
 * Projects points onto their first two principal components. Deterministic: the iteration starts from fixed vectors, and
 * the largest coordinate of each component is positive.
 *
 * @param rows [n,C]
 */
export function projectOntoPlane(rows: Float32Array, C: number): PlaneProjection {
  const n = rows.length / C;
  const X = centered(rows, n, C);
  let variance = 0;
  for (const x of X) variance += x * x;
  const k = Math.min(DIRECTIONS, C);
  let basis = orthonormal(Array.from({ length: k }, (_, i) => startVector(C, i)));
  let values: number[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    // Rayleigh–Ritz: eigenvectors of the scatter matrix within the span of the basis
    const images = basis.map((v) => scatterTimes(X, n, C, v));
    const { values: found, vectors } = eigen(basis.map((v) => images.map((image) => dot(v, image))));
    const before = values;
    values = found;
    const settled = [0, 1].every(
      (i) => Math.abs((values[i] ?? 0) - (before[i] ?? Infinity)) <= 1e-13 * variance,
    );
    const rotated = vectors.map((weights) => combine(images, weights));
    if (settled) {
      basis = vectors.map((weights) => combine(basis, weights));
      break;
    }
    basis = orthonormal(rotated);
  }
  const [first, second] = [0, 1].map((i) => withPositivePeak(basis[i] ?? new Float64Array(C)));
  const points = Array.from({ length: n }, (_, i) => {
    const row = X.subarray(i * C, (i + 1) * C);
    return [dot(row, first), dot(row, second)] as const;
  });
  const share = (i: number): number => (variance > 0 ? (values[i] ?? 0) / variance : 0);
  return { points, explained: [share(0), share(1)] };
}

function centered(rows: Float32Array, n: number, C: number): Float64Array {
  const means = new Float64Array(C);
  rows.forEach((x, i) => (means[i % C] += x / n));
  return Float64Array.from(rows, (x, i) => x - means[i % C]);
}

/** Fixed vectors that are unlikely to be orthogonal to any data. */
const startVector = (C: number, i: number): Float64Array =>
  Float64Array.from({ length: C }, (_, c) => Math.sin((c + 1) * (i + 1) + i * i));

/** Xᵀ·(X·v). */
function scatterTimes(X: Float64Array, n: number, C: number, v: Float64Array): Float64Array {
  const result = new Float64Array(C);
  for (let i = 0; i < n; i++) {
    const row = X.subarray(i * C, (i + 1) * C);
    const along = dot(row, v);
    for (let c = 0; c < C; c++) result[c] += along * row[c];
  }
  return result;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function combine(vectors: readonly Float64Array[], weights: readonly number[]): Float64Array {
  const sum = new Float64Array(vectors[0].length);
  vectors.forEach((vector, i) => vector.forEach((x, c) => (sum[c] += weights[i] * x)));
  return sum;
}

/** Gram–Schmidt, applied twice for numerical stability. A vector that adds no direction is replaced. */
function orthonormal(vectors: readonly Float64Array[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    let v = vector;
    for (let unit = 0; ; unit++) {
      const before = Math.sqrt(dot(v, v));
      for (let pass = 0; pass < 2; pass++)
        for (const b of basis) {
          const along = dot(v, b);
          v = v.map((x, c) => x - along * b[c]);
        }
      const length = Math.sqrt(dot(v, v));
      if (length > 1e-12 * before && before > 0) {
        basis.push(v.map((x) => x / length));
        break;
      }
      v = new Float64Array(v.length);
      v[unit] = 1;
    }
  }
  return basis;
}

/**
 * Eigenvalues in descending order, and eigenvectors of a small symmetric matrix, by Jacobi rotations (1846), each of which
 * zeroes one off-diagonal element.
 */
function eigen(matrix: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } {
  const n = matrix.length;
  const A = matrix.map((row) => [...row]);
  const V = A.map((_, i) => A.map((__, j) => Number(i === j))); // columns are eigenvectors
  for (let sweep = 0; sweep < 50; sweep++) {
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        if (A[p][q] === 0) continue;
        const angle = (A[q][q] - A[p][p]) / (2 * A[p][q]);
        const t = Math.sign(angle || 1) / (Math.abs(angle) + Math.hypot(angle, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let i = 0; i < n; i++)
          [A[i][p], A[i][q]] = [c * A[i][p] - s * A[i][q], s * A[i][p] + c * A[i][q]];
        for (let i = 0; i < n; i++)
          [A[p][i], A[q][i]] = [c * A[p][i] - s * A[q][i], s * A[p][i] + c * A[q][i]];
        for (let i = 0; i < n; i++)
          [V[i][p], V[i][q]] = [c * V[i][p] - s * V[i][q], s * V[i][p] + c * V[i][q]];
      }
    const largest = Math.max(...A.map((row, i) => Math.abs(row[i])));
    if (A.every((row, i) => row.every((x, j) => i === j || Math.abs(x) <= 1e-15 * largest))) break;
  }
  const order = A.map((_, i) => i).sort((i, j) => A[j][j] - A[i][i]);
  return { values: order.map((i) => A[i][i]), vectors: order.map((i) => V.map((row) => row[i])) };
}

/** Fixes the arbitrary sign of a component by making its largest coordinate positive. */
function withPositivePeak(v: Float64Array): Float64Array {
  let peak = 0;
  for (const x of v) if (Math.abs(x) > Math.abs(peak)) peak = x;
  return peak < 0 ? v.map((x) => -x) : v;
}
