import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { run, type RunOptions } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'eval-'));
const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
const text = Array.from(
  { length: 400 },
  (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]}.\n`,
).join('');
const tiny =
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 40 --warmup-iters 2 -q';
const gpt = (args: string, options: RunOptions = {}) => run(args.split(' '), { cwd: folder, ...options });
const parse = (lines: string): Record<string, number>[] =>
  lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  writeFileSync(join(folder, 'other.txt'), 'the Pequod and the whale.\nTwo lines, é.\n');
  await gpt(`train corpus.txt ${tiny} -o chars`);
  await gpt(`train corpus.txt ${tiny} --tokenizer word --min-frequency 30 -o words`);
});

describe('one model on one text', () => {
  test('is a line for each measure', async () => {
    const { stdout, stderr } = await gpt('eval corpus.txt -m chars');
    for (const label of ['loss', 'perplexity', 'bits per character', 'bits per byte', 'uniform guessing'])
      expect(stdout).toMatch(new RegExp(`^ {2}${label} +[\\d.]+`, 'm'));
    expect(stdout).toMatch(/^ {2}accuracy +[\d.]+% first guess, [\d.]+% among the first five$/m);
    expect(stderr).toBe('');
  });

  test('is an object for a script, the same at any thread count', async () => {
    const { stdout } = await gpt('eval -m chars --json', { stdin: text });
    const [found] = parse(stdout);
    expect(found).toMatchObject({ model: 'chars', file: 'stdin', stride: 16, characters: text.length });
    expect(found['nats_per_token']).toBeLessThan(found['uniform_nats_per_token']);
    expect(found['perplexity']).toBeCloseTo(Math.exp(found['nats_per_token']), 10);
    expect(found['bits_per_byte']).toBeCloseTo(found['nats_per_token'] / Math.LN2, 10); // one byte a token
    expect(found['accuracy_at_5']).toBeGreaterThan(found['accuracy_at_1']);
    expect((await gpt('eval -m chars --json --threads 3', { stdin: text })).stdout).toBe(stdout);
  });

  test('gets better with more context', async () => {
    const loss = async (stride: number) =>
      parse((await gpt(`eval corpus.txt -m chars --json --stride ${stride}`)).stdout)[0]['nats_per_token'];
    expect(await loss(2)).toBeLessThan(await loss(16));
  });

  test('says what unknown tokens cost', async () => {
    const { stdout } = await gpt('eval other.txt -m words');
    expect(stdout).toMatch(
      /unknown tokens +\d+ \([\d.]+%\), spelled out byte by byte for [\d.]+ of the bits/,
    );
  });
});

describe('several models and texts', () => {
  test('stand side by side', async () => {
    const { stdout, stderr } = await gpt('eval corpus.txt other.txt -m chars -m words');
    const heads = stdout.split('\n').filter((line) => line.includes('bits/byte'));
    expect(heads.map((line) => line.trim().split(/ +/)[0])).toEqual(['corpus.txt', 'other.txt']);
    expect(stdout.match(/^ {2}chars +[\d,]+ .*\d$/gm)).toHaveLength(2);
    expect(stdout.match(/^ {2}words +[\d,]+ .*\d$/gm)).toHaveLength(2);
    expect(stderr).toContain('models with different tokenizers compare by bits per byte');
  });

  test('are a line each in JSON, and say the same as each alone', async () => {
    const { stdout } = await gpt('eval corpus.txt other.txt -m chars -m words --json');
    const lines = parse(stdout);
    expect(lines.map(({ model, file }) => `${model} ${file}`)).toEqual([
      'chars corpus.txt',
      'chars other.txt',
      'words corpus.txt',
      'words other.txt',
    ]);
    expect(parse((await gpt('eval other.txt -m words --json')).stdout)).toEqual([lines[3]]);
    expect(lines[3]['spelling_bits_per_byte']).toBeGreaterThan(1);
  });
});

describe('tokens', () => {
  test('are JSON lines in a pipe that add up to the loss and to the text', async () => {
    const { stdout } = await gpt('eval other.txt -m words --tokens --stride 3');
    const tokens = parse(stdout) as unknown as {
      text: string;
      bits: number | null;
      line: number;
      position: number;
      unknown?: true;
    }[];
    expect(tokens.map((token) => token.text).join('')).toBe('the Pequod and the whale.\nTwo lines, é.\n');
    expect(tokens[0].bits).toBeNull();
    for (const { position, text: part, line } of tokens) {
      expect('the Pequod and the whale.\nTwo lines, é.\n'.slice(position).startsWith(part)).toBe(true);
      expect(line).toBe(position < 26 ? 1 : 2);
    }
    expect(tokens.find((token) => token.text === ' Pequod')?.unknown).toBe(true);
    const [whole] = parse((await gpt('eval other.txt -m words --json --stride 3')).stdout);
    const bits = tokens.reduce((sum, token) => sum + (token.bits ?? 0), 0);
    expect(bits / (tokens.length - 1)).toBeCloseTo(whole['nats_per_token'] / Math.LN2, 3);
  });

  test('are coloured text under a legend where colours are wanted', async () => {
    const { stdout } = await gpt('eval other.txt -m chars --tokens', { env: { FORCE_COLOR: '1' } });
    expect(stdout).toContain('Surprisal in bits: ');
    const plain = stripVTControlCharacters(stdout).replaceAll('·', ' ').replaceAll('↵', '');
    expect(plain).toContain('\n\nthe Pequod and the whale.\nTwo lines, é.\n');
    expect(stdout.length).toBeGreaterThan(plain.length + 100);
  });
});

test.each([
  ['a stride longer than the block', 'eval corpus.txt -m chars --stride 17', 2, 'the block of chars, 16'],
  ['a text of one token', 'eval -m chars', 1, 'the text is a single token', 'x'],
  ['no text', 'eval -m chars', 1, 'stdin: there is no text in it'],
  ['a missing model', 'eval corpus.txt -m nowhere', 1, 'there is no model folder nowhere'],
  ['a missing file', 'eval nowhere.txt -m chars', 1, 'nowhere.txt: no such file or folder'],
])('refuses %s', async (_what, line, code, message, stdin = '') => {
  const result = await gpt(line, { stdin });
  expect(result.stderr).toContain(message);
  expect(result.stderr.split('\n').length).toBeLessThan(4);
  expect(result.stdout).toBe('');
  expect(result.code).toBe(code);
});
