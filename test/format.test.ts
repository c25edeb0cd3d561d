import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatCountOf,
  formatDollars,
  formatDuration,
  formatFlops,
  formatNumber,
  formatPercent,
  formatRate,
  formatStep,
} from '../src/format.ts';

describe('formatNumber', () => {
  it.each([
    [0, 0, '0'],
    [999, 0, '999'],
    [1000, 0, '1,000'],
    [1234567, 0, '1,234,567'],
    [-1234567, 0, '-1,234,567'],
    [-123, 0, '-123'],
    [1234.5678, 3, '1,234.568'],
    [0.5, 2, '0.50'],
    [NaN, 0, 'NaN'],
  ])('%d with %d decimals: %s', (value, digits, expected) => {
    expect(formatNumber(value, digits)).toBe(expected);
  });
});

describe('formatBytes and formatCount', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [9994, '9.99 kB'],
    [9996, '10.0 kB'],
    [12_300_000, '12.3 MB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [4_294_967_296, '4.29 GB'],
    [5e15, '5000 TB'],
  ])('%d bytes: %s', (value, expected) => {
    expect(formatBytes(value)).toBe(expected);
  });
  it.each([
    [65, '65'],
    [10_740_000, '10.7M'],
    [124_439_808, '124M'],
    [1.5e9, '1.50B'],
  ])('%d: %s', (value, expected) => {
    expect(formatCount(value)).toBe(expected);
  });
});

describe('formatDollars', () => {
  it.each([
    [0, '$0.00'],
    [0.001, '< $0.01'],
    [0.07, '$0.07'],
    [99.99, '$99.99'],
    [100.4, '$100'],
    [979_351, '$979,351'],
    [4_676_900, '$4.68 million'],
    [2.5e12, '$2.50 trillion'],
  ])('%d is %s', (dollars, expected) => {
    expect(formatDollars(dollars)).toBe(expected);
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0s'],
    [0.0849, '85ms'],
    [0.9999, '1.0s'],
    [8.42, '8.4s'],
    [9.96, '10s'],
    [59.4, '59s'],
    [59.6, '1m 00s'],
    [187, '3m 07s'],
    [3599.6, '1h 00m'],
    [3720, '1h 02m'],
    [86_399, '1d 00h'],
    [183_600, '2d 03h'],
    [11_224_561_735, '355.7 years'],
    [4e13, '1,267,524 years'],
    [Infinity, '–'],
    [NaN, '–'],
  ])('%d seconds: %s', (seconds, expected) => {
    expect(formatDuration(seconds)).toBe(expected);
  });
});

it('formats rates with a meaningful number of digits', () => {
  expect(formatRate(45_210.4, 'tok')).toBe('45,210 tok/s');
  expect(formatRate(45.21, 'tok')).toBe('45.2 tok/s');
  expect(formatRate(3.271, 'tok')).toBe('3.27 tok/s');
});

it('formats rates of products and times of steps, also those of an emulated GPU', () => {
  expect([1.234e14, 9.96e9, 9.9e9, 1.234e8, 4e6].map(formatFlops)).toEqual([
    '123,400 GFLOP/s',
    '10 GFLOP/s',
    '9.9 GFLOP/s',
    '0.12 GFLOP/s',
    '0.004 GFLOP/s',
  ]);
  expect([0.0084, 0.812, 9.9, 12, 104_294].map(formatStep)).toEqual([
    '8.4 ms',
    '812 ms',
    '9,900 ms',
    '12s',
    '1d 05h',
  ]);
});

it('formats counts with their noun', () => {
  expect(formatCountOf(1, 'step')).toBe('1 step');
  expect(formatCountOf(1234, 'step')).toBe('1,234 steps');
});

it('formats fractions as percentages', () => {
  expect(formatPercent(0.1234)).toBe('12.3%');
  expect(formatPercent(1, 0)).toBe('100%');
});
