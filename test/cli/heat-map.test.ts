import { Chalk } from 'chalk';
import { expect, test } from 'vitest';
import { heatMap } from '../../src/cli/heat-map.ts';

const plain = new Chalk({ level: 0 });
const even = (T: number) =>
  Float64Array.from({ length: T * T }, (_, i) =>
    i % T <= Math.floor(i / T) ? 1 / (Math.floor(i / T) + 1) : 0,
  );

test('row labels are on the left, column labels are written downwards above', () => {
  const map = Float64Array.of(1, 0, 0, 0.01, 0.99, 0, 0.3, 0.2, 0.5);
  expect(heatMap(map, ['Call', '␣me', '.'], 80, plain)).toBe(
    [
      '        C',
      '        a ␣',
      '        l m',
      '        l e .',
      '  Call  ██',
      '   ␣me  ··██',
      '     .  ▓▓▒▒██',
    ].join('\n'),
  );
});

test('columns become narrow if wide ones do not fit, and continue in bands if narrow ones do not', () => {
  const labels = Array.from({ length: 100 }, (_, i) => String(i % 10));
  for (const [T, bands] of [
    [30, 1],
    [60, 1],
    [100, 2],
  ]) {
    const lines = heatMap(even(T), labels.slice(0, T), 80, plain).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.filter((line) => line === '').length).toBe(bands - 1);
  }
});

test('wide characters do not break the grid', () => {
  const lines = heatMap(even(3), ['鯨', 'a', '🐋'], 80, plain).split('\n');
  expect(lines).toEqual(['      鯨a 🐋', '  鯨  ██', '   a  ██▓▓'.replace('██▓▓', '████'), '  🐋  ▓▓▓▓▓▓']);
});
