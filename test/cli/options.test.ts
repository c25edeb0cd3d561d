import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { runInProcess } from './in-process.ts';
import { UsageError } from '../../src/errors.ts';
import { argument, option } from '../../src/cli/options.ts';
import { choice, filePath, fraction, number, seed, type OptionType, wholeNumber } from '../../src/values.ts';
import { failure } from '../fixtures/failure.ts';

const tokenizer = choice(['char', 'word', 'bpe']);

describe('values', () => {
  it.each<[OptionType<unknown>, string, unknown]>([
    [wholeNumber(), '0', 0],
    [wholeNumber(), '+12', 12],
    [wholeNumber({ min: 1 }), '1_000_000', 1e6],
    [wholeNumber({ min: 1 }), '1e3', 1000],
    [wholeNumber({ min: 1 }), '1.5e1', 15],
    [wholeNumber({ min: -5 }), '-5', -5],
    [number(), '-.5', -0.5],
    [number({ above: 0 }), '6e-4', 6e-4],
    [number({ above: 0 }), '5.', 5],
    [number({ min: 0 }), '-0', -0],
    [fraction, '0', 0],
    [fraction, '1', 1],
    [seed, '9007199254740991', Number.MAX_SAFE_INTEGER],
    [tokenizer, 'word', 'word'],
    [filePath, '-', '-'],
    [filePath, 'a b', 'a b'],
  ])('$0.expected: %2$s', (value, text, expected) => {
    expect(value.read(text)).toBe(expected);
  });

  const notNumbers = [
    '',
    ' ',
    '1 ',
    ' 1',
    'abc',
    '0x10',
    '1n',
    'NaN',
    'Infinity',
    '-Infinity',
    '1e999',
    '1,000',
  ];
  const notNumbersEither = ['_1', '1_', '1__0', '1_000_', '--1', '1e', '.', '١'];
  it.each([...notNumbers, ...notNumbersEither])('no number: %j', (text) => {
    expect(number().read(text)).toBeUndefined();
    expect(wholeNumber().read(text)).toBeUndefined();
  });

  it.each<[OptionType<unknown>, string]>([
    [wholeNumber(), '-1'],
    [wholeNumber(), '1.5'],
    [wholeNumber(), '9007199254740992'],
    [wholeNumber(), '1e300'],
    [wholeNumber({ min: 1 }), '0'],
    [wholeNumber({ min: 1, max: 8 }), '9'],
    [number({ above: 0 }), '0'],
    [number({ below: 1 }), '1'],
    [number({ max: 1 }), '1.1'],
    [fraction, '1.0000001'],
    [fraction, '-0.1'],
    [seed, '-1'],
    [tokenizer, 'Word'],
    [tokenizer, ''],
    [filePath, ''],
    [filePath, 'a\0b'],
  ])('$0.expected: not %j', (value, text) => {
    expect(value.read(text)).toBeUndefined();
  });

  it.each<[OptionType<unknown>, string]>([
    [wholeNumber({ min: 1 }), 'a whole number of at least 1'],
    [wholeNumber({ min: 1, max: 8 }), 'a whole number from 1 to 8'],
    [number(), 'a number'],
    [number({ above: 0 }), 'a number above 0'],
    [number({ min: 0, below: 1 }), 'a number of at least 0 and below 1'],
    [fraction, 'a number from 0 to 1'],
    [tokenizer, 'one of char, word, bpe'],
    [filePath, 'a path'],
  ])('describe what is expected: $1', (value, expected) => {
    expect(value.expected).toBe(expected);
  });
});

const parse = (...args: string[]): Command =>
  new Command()
    .addArgument(argument('[corpus]', '', filePath))
    .addOption(option('-l, --n-layer <n>', '', wholeNumber({ min: 1 }), 6))
    .exitOverride()
    .parse(args, { from: 'user' });

describe('refusals', () => {
  it('name the flag, the value and what is allowed', () => {
    expect(() => parse('--n-layer', 'abc')).toThrow(
      new UsageError('bad-option-value', '--n-layer: "abc" is not a whole number of at least 1'),
    );
    expect(() => parse('-l', '0')).toThrow(failure('bad-option-value', '--n-layer', '"0"', 'at least 1'));
    expect(() => parse('')).toThrow(failure('bad-option-value', 'corpus', '""'));
  });

  it('escape control characters and truncate long values', () => {
    expect(() => parse('--n-layer', '\u001b[31m')).toThrow(failure('bad-option-value', '"\\u001b[31m"'));
    expect(() => parse('--n-layer', '9'.repeat(5000))).toThrow(
      failure('bad-option-value', `"${'9'.repeat(60)}…"`),
    );
  });

  it.each([
    ['a path', ['train', 'x'.repeat(1e6)]],
    ['a flag', ['train', `--${'x'.repeat(1e6)}`]],
    ['a command', ['x'.repeat(1e6)]],
    ['a prompt', ['sample', 'x'.repeat(1e6), '--prompt', 'y']],
    ['a model', ['sample', '--model', 'x'.repeat(1e6)]],
    ['a number', ['train', '--n-layer', '9'.repeat(1e6)]],
    ['a choice', ['train', '--tokenizer', 'x'.repeat(1e6)]],
  ])('stay short for any input: %s', async (_what, args) => {
    const { stderr, code } = await runInProcess(args);
    expect(stderr.length).toBeGreaterThan(20);
    expect(stderr.length).toBeLessThan(2200);
    expect(code).toBeGreaterThan(0);
  });

  it.each([
    ['train a.txt -o --overwrite', '--out-dir: "--overwrite"'],
    ['train a.txt --val-file -q', '--val-file: "-q"'],
    ['sample -m --json', '--model: "--json"'],
    ['compare a b --html --json', '--html: "--json"'],
  ])('a flag is not a path: %s', async (line, message) => {
    const { stderr, code } = await runInProcess(line.split(' '));
    expect(stderr).toContain(`error: ${message} `);
    expect(code).toBe(2);
  });

  it('- is a path, and so is ./ before a name that starts with a dash', async () => {
    for (const path of ['-', './--overwrite']) {
      const { stderr } = await runInProcess(['sample', '-m', path]);
      expect(stderr).not.toContain(`"${path}"`);
    }
  });

  it('do not affect defaults and valid values', () => {
    expect(parse().opts()).toEqual({ nLayer: 6 });
    expect(parse('--n-layer=12', 'x').opts()).toEqual({ nLayer: 12 });
  });
});
