import { Chalk } from 'chalk';
import { expect, test } from 'vitest';
import { lineChart } from '../../src/cli/line-chart.ts';

const plain = new Chalk({ level: 0 });
const draw = (points: readonly (readonly [number, number])[], size = { width: 20, height: 3 }) =>
  lineChart([{ name: 'a', points, color: (text) => text }], size, plain);

test('a straight line is drawn from corner to corner, with its extremes as labels', () => {
  const falling = draw([
    [0, 4],
    [100, 0],
  ]);
  const lines = falling.split('\n');
  expect(lines.length).toBe(5);
  expect(lines[0]).toMatch(/^ {2}4\.00 │[⠀-⣿]{4,5}$/u);
  expect(lines[2]).toMatch(/^ {2}0\.00 │ +[⠀-⣿]{4,5}$/u);
  expect(lines[4]).toMatch(/^ {8}0 +100$/);
  expect(lines.every((line) => line.length <= 20)).toBe(true);
});

test('gaps stay empty, a constant curve has a scale, and without points there is no chart', () => {
  expect(draw([])).toBe('');
  expect(draw([[1, NaN]])).toBe('');
  const level = draw([
    [1, 2],
    [2, NaN],
    [3, 2],
  ]).split('\n');
  expect(level[1]).toMatch(/2\.0+ │⠤+|2\.0+ │⠒+|2\.0+ │⠉+|2\.0+ │⣀+/u);
});

test('a later curve is drawn over an earlier one', () => {
  const points = [
    [0, 1],
    [9, 1],
  ] as const;
  const series = ['a', 'b'].map((name) => ({ name, points, color: (text: string) => text && name }));
  expect(lineChart(series, { width: 30, height: 3 }, plain)).toContain('bbbb');
  expect(lineChart(series, { width: 30, height: 3 }, plain)).not.toContain('aaaa');
});

test('curves end in their marks, side by side where they meet', () => {
  const points = [
    [0, 1],
    [9, 0],
  ] as const;
  const series = ['A', 'B'].map((mark) => ({ name: mark, mark, points, color: (text: string) => text }));
  expect(lineChart(series, { width: 30, height: 3 }, plain)).toMatch(/BA\n/);
});
