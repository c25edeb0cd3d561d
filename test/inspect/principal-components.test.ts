import { expect, test } from 'vitest';
import { Philox, Stream } from '../../src/engine/philox.ts';
import { projectOntoPlane } from '../../src/inspect/principal-components.ts';

/** Points that differ most along two known directions, a little along all, around a center far from zero. */
function cloud(n: number, C: number) {
  const random = new Philox(1, 0, Stream.sampling);
  const even = () => random.uniform() - 0.5;
  const u = Array.from({ length: C }, (_, c) => Math.cos((2 * Math.PI * c) / C) * Math.sqrt(2 / C));
  const v = Array.from({ length: C }, (_, c) => Math.sin((2 * Math.PI * c) / C) * Math.sqrt(2 / C));
  const along = Array.from({ length: n }, () => [9 * even(), 4 * even()] as const);
  const rows = Float32Array.from({ length: n * C }, (_, i) => {
    const [a, b] = along[Math.floor(i / C)];
    return 5 + a * u[i % C] + b * v[i % C] + 1e-4 * even();
  });
  return { rows, along };
}

test('the two directions of largest variance are found', () => {
  const [n, C] = [300, 24];
  const { rows, along } = cloud(n, C);
  const { points, explained } = projectOntoPlane(rows, C);
  // The same points but for a rotation of axes by the sample's own chance, so distances are what is compared.
  const distance = (p: readonly number[], q: readonly number[]) => Math.hypot(p[0] - q[0], p[1] - q[1]);
  for (let i = 1; i < n; i++)
    expect(distance(points[i], points[0])).toBeCloseTo(distance(along[i], along[0]), 3);
  expect(explained[0] + explained[1]).toBeGreaterThan(0.99999);
  expect(explained[0]).toBeGreaterThan(3 * explained[1]);
  // Principal components are uncorrelated, and centered.
  const sum = (f: (p: readonly [number, number]) => number) => points.reduce((total, p) => total + f(p), 0);
  expect(Math.abs(sum(([x, y]) => x * y)) / sum(([x]) => x * x)).toBeLessThan(1e-6);
  expect(Math.abs(sum(([x]) => x))).toBeLessThan(1e-6);
});

test('principal components are bit-identical on every call', () => {
  const { rows } = cloud(50, 7);
  expect(projectOntoPlane(rows, 7)).toEqual(projectOntoPlane(rows.slice(), 7));
});

test('a slow spectrum converges too: eigenvalues that are close', () => {
  const [n, C] = [64, 16];
  const random = new Philox(2, 0, Stream.sampling);
  const rows = Float32Array.from({ length: n * C }, () => random.uniform() - 0.5);
  const { points, explained } = projectOntoPlane(rows, C);
  const variance = (axis: 0 | 1) => points.reduce((total, p) => total + p[axis] ** 2, 0);
  expect(explained[0]).toBeGreaterThan(explained[1]);
  expect(variance(0) / variance(1)).toBeCloseTo(explained[0] / explained[1], 6);
  const correlation = points.reduce((total, [x, y]) => total + x * y, 0);
  expect(Math.abs(correlation) / variance(0)).toBeLessThan(1e-4);
});

test.each([
  ['one point', Float32Array.of(1, 2, 3), 3],
  ['points that are all alike', new Float32Array(12).fill(2), 3],
  ['a single coordinate', Float32Array.of(1, 2, 4), 1],
])('%s', (_name, rows, C) => {
  const { points, explained } = projectOntoPlane(rows, C);
  expect(points.length).toBe(rows.length / C);
  expect(points.flat().every(Number.isFinite)).toBe(true);
  expect(explained.every(Number.isFinite)).toBe(true);
});
