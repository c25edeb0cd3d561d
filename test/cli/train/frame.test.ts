import { Chalk } from 'chalk';
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { foldText, renderFrame, type Shown } from '../../../src/cli/train/frame.ts';

const plain = new Chalk({ level: 0 });
const run: Shown = {
  activity: undefined,
  step: 600,
  maxIters: 1000,
  trainLosses: Array.from({ length: 60 }, (_, i) => [10 * (i + 1), 4 - i / 30] as const),
  validationLosses: [100, 200, 300, 400, 500, 600].map((step) => [step, 4 - step / 400] as const),
  best: [600, 2.5],
  loss: 2.03,
  tokensPerSecond: 32_000,
  elapsed: 108,
  left: 72,
  sample: {
    step: 600,
    text: 'HAMLET:\nTo be, or not to be, 日本語 that is the question: whether it is nobler in the mind',
  },
};
const frame = (columns: number, rows: number, of = run): string[] => renderFrame(of, columns, rows, plain);

describe('the frame', () => {
  test('shows curves, sample and progress', () => {
    const text = frame(80, 24).join('\n');
    expect(text).toContain('━━ train 2.033   ━━ validation 2.500');
    expect(text).toMatch(/^ {2}\d\.\d+ +│.*[⠀-⣿]/mu);
    expect(text).toMatch(/sample at step 600:\n {2}│ HAMLET:\n {2}│ To be/);
    expect(text).toMatch(/step 600\/1,000 ━+─+ {2}60% {2}loss 2\.030 {2}32,000 tok\/s {2}ETA 1m 12s$/);
  });
  test('shows work between two steps in place of the bar', () => {
    const last = (what: string, done?: number): string =>
      frame(40, 24, { ...run, activity: { what, done } }).at(-1)!;
    expect(last('saving a checkpoint', 0.404)).toBe('saving a checkpoint 40%');
    expect(last('evaluating')).toBe('evaluating …');
    expect(last('evaluating the whole validation split', 0.5)).toBe('evaluating the whole validation split');
  });
  test('ends its x axis at the last step of the run', () => {
    expect(frame(80, 24).some((line) => /^ +\d+ +1000$/.test(line))).toBe(true);
  });
  test('names the best step once a later one is worse', () => {
    const later = { ...run, validationLosses: [...run.validationLosses, [700, 2.6] as const], step: 700 };
    expect(frame(100, 24, later)[0]).toContain('validation 2.600, best 2.500 at step 600');
  });
  test('fits every window size, dropping the sample first, then the chart', () => {
    for (let columns = 20; columns <= 200; columns += 7)
      for (let rows = 2; rows <= 60; rows++) {
        const lines = frame(columns, rows);
        expect(lines.length).toBeLessThan(Math.max(rows, 2));
        for (const line of lines) expect(stringWidth(line)).toBeLessThan(columns);
      }
    expect(frame(80, 18).join('\n')).not.toContain('sample at step');
    expect(frame(80, 18).join('\n')).toContain('│');
    expect(frame(80, 8).length).toBe(1);
  });
  test('keeps its height from sample to sample', () => {
    const height = (text: string): number => frame(80, 24, { ...run, sample: { step: 1, text } }).length;
    expect(height('a')).toBe(height('a\nb\nc\nd\ne\nf'));
  });
  test('is only the progress bar before the first evaluation', () => {
    const start = {
      ...run,
      step: 0,
      trainLosses: [],
      validationLosses: [],
      best: undefined,
      sample: undefined,
    };
    expect(frame(80, 24, { ...start, loss: undefined, tokensPerSecond: 0, left: Infinity })).toEqual([
      expect.stringMatching(/^step 0\/1,000 ─+ {3}0% {2}ETA –$/),
    ]);
  });
  test('shows the total time at the end', () => {
    expect(frame(80, 24, { ...run, step: 1000 }).at(-1)).toMatch(/━ 100% .* in 1m 48s$/);
  });
});

test('text is folded by columns, not by characters', () => {
  expect(foldText('日本語日本語', 7)).toEqual(['日本語', '日本語']);
  expect(foldText('abcdef\n\ngh', 4)).toEqual(['abcd', 'ef', '', 'gh']);
  expect(foldText('e\u0301e\u0301e\u0301', 2)).toEqual(['e\u0301e\u0301', 'e\u0301']);
});
