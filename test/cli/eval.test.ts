import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { whaleText } from '../fixtures/whale-text.ts';
import { commandsIn, expectRefusal, type Refusal } from './in-process.ts';
import { hasTerminal, run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'eval-'));
const text = whaleText(400);
const tiny =
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 40 --warmup-iters 2 -q';
const gpt = commandsIn(folder);
const parse = (lines: string): Record<string, number>[] =>
  lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  writeFileSync(join(folder, 'other.txt'), 'the Pequod and the whale.\nTwo lines, é.\n');
  await gpt(`train corpus.txt ${tiny} -o chars`);
  await gpt(`train corpus.txt ${tiny} --tokenizer word --rare-words unk --min-frequency 30 -o words`);
});

describe('one model on one text', () => {
  test('prints a line for each measure', async () => {
    const { stdout, stderr } = await gpt('eval other.txt -m chars');
    for (const label of ['loss', 'perplexity', 'bits per character', 'bits per byte', 'uniform guessing'])
      expect(stdout).toMatch(new RegExp(`^ {2}${label} +[\\d.]+`, 'm'));
    expect(stdout).toMatch(/^ {2}accuracy +[\d.]+% first guess, [\d.]+% among the first five$/m);
    expect(stderr).toBe('');
  });

  test('prints one JSON object, the same at any thread count', async () => {
    const { stdout } = await gpt('eval -m chars --json', { stdin: text });
    const [found] = parse(stdout);
    expect(found).toMatchObject({ model: 'chars', file: 'stdin', stride: 16, characters: text.length });
    expect(found['nats_per_token']).toBeLessThan(found['uniform_nats_per_token']);
    expect(found['perplexity']).toBeCloseTo(Math.exp(found['nats_per_token']), 10);
    expect(found['bits_per_byte']).toBeCloseTo(found['nats_per_token'] / Math.LN2, 10); // one byte a token
    expect(found['accuracy_at_5']).toBeGreaterThan(found['accuracy_at_1']);
    expect((await gpt('eval -m chars --json --threads 3', { stdin: text })).stdout).toBe(stdout);
  });

  test('with weights in q8: nearly the same loss, and a warning where no matrix can be quantized', async () => {
    await gpt(`train corpus.txt ${tiny} --n-embd 32 -o wide`);
    const lossOf = async (flags: string) =>
      parse((await gpt(`eval other.txt -m wide --json ${flags}`)).stdout)[0]['nats_per_token'];
    const stored = await lossOf('--weights stored');
    const quantized = await lossOf('--weights q8');
    expect(quantized).not.toBe(stored);
    expect(Math.abs(quantized - stored)).toBeLessThan(0.01 * stored);
    expect(await lossOf('--weights q8 --threads 1')).toBe(quantized);

    await gpt(`train corpus.txt ${tiny} --n-embd 20 -o odd`);
    const { stdout, stderr } = await gpt('eval other.txt -m odd --json --weights q8');
    expect(stderr).toContain('--weights q8');
    expect(stdout).toBe((await gpt('eval other.txt -m odd --json')).stdout);
  });

  test('has a lower loss with more context', async () => {
    const loss = async (stride: number) =>
      parse((await gpt(`eval corpus.txt -m chars --json --stride ${stride}`)).stdout)[0]['nats_per_token'];
    expect(await loss(2)).toBeLessThan(await loss(16));
  });

  test('reports what unknown tokens cost', async () => {
    const { stdout } = await gpt('eval other.txt -m words');
    expect(stdout).toMatch(/unknown tokens +\d+ \([\d.]+%\), whose spelling adds [\d.]+ bits per byte/);
  });
});

describe('several models and texts', () => {
  test('are compared in one table', async () => {
    const { stdout, stderr } = await gpt('eval corpus.txt other.txt -m chars -m words');
    const heads = stdout.split('\n').filter((line) => line.includes('bits/byte'));
    expect(heads.map((line) => line.trim().split(/ +/)[0])).toEqual(['corpus.txt', 'other.txt']);
    expect(stdout.match(/^ {2}chars +[\d,]+ .*\d$/gm)).toHaveLength(2);
    expect(stdout.match(/^ {2}words +[\d,]+ .*\d$/gm)).toHaveLength(2);
    expect(stderr).toContain('bits per byte');
  });

  test('print a JSON line each, the same as each alone', async () => {
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
  test.runIf(hasTerminal)(
    'are printed as text on a terminal, with no progress bar drawn over them',
    async () => {
      const { stdout, stderr, code } = await run(['eval', 'other.txt', '-m', 'words', '--tokens'], {
        cwd: folder,
        tty: true,
      });
      expect(code, stderr).toBe(0);
      const shown = stripVTControlCharacters(stdout + stderr);
      expect(shown).toContain('Two lines, é.');
      expect(shown).not.toContain('evaluated');
    },
  );

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

  test('are colored text under a legend if colors are enabled', async () => {
    const { stdout } = await gpt('eval other.txt -m chars --tokens', { env: { FORCE_COLOR: '1' } });
    expect(stdout).toContain('Surprisal in bits: ');
    const plain = stripVTControlCharacters(stdout).replaceAll('·', ' ').replaceAll('↵', '');
    expect(plain).toContain('\n\nthe Pequod and the whale.\nTwo lines, é.\n');
    expect(stdout.length).toBeGreaterThan(plain.length + 100);
  });
});

describe("a split of the model's own corpus", () => {
  test('is the split that training kept for validation', async () => {
    const [found] = parse((await gpt('eval --split val -m words --json')).stdout);
    const [whole] = parse((await gpt('eval corpus.txt -m words --json')).stdout);
    expect(found).toMatchObject({ file: 'validation split of words' });
    expect(found['tokens']).toBe(whole['tokens'] - Math.floor(whole['tokens'] * 0.9));
    const [train] = parse((await gpt('eval --split train -m words --json')).stdout);
    for (const sum of ['tokens', 'bytes', 'characters', 'unknown_tokens'])
      expect(train[sum] + found[sum]).toBe(whole[sum]);
  });

  test('is recommended when a model is evaluated on its training text', async () => {
    expect((await gpt('eval corpus.txt -m chars --json')).stderr).toContain('--split val');
    expect((await gpt('eval other.txt -m chars --json')).stderr).toBe('');
  });
});

describe('baselines', () => {
  type Baseline = Record<'bits_per_byte' | 'nats_per_token' | 'bits_per_byte_alone', number>;
  const baselinesOf = (lines: string) =>
    (parse(lines)[0] as unknown as { baselines: Record<string, Baseline> }).baselines;

  test('are listed below the models, once for each training text and tokenizer', async () => {
    const { stdout } = await gpt('eval other.txt -m chars -m chars -m words --baselines');
    expect(
      stdout.match(/^ {2}fitted on corpus.txt, training split, in the tokens of (chars|words)$/gm),
    ).toHaveLength(2);
    for (const name of ['uniform', 'unigram', 'bigram', 'Kneser–Ney 5-gram', 'gzip', 'xz'])
      expect(stdout.match(new RegExp(`^ {2}${name} .*(\\d\\.\\d{4}|not installed)$`, 'gm'))).toHaveLength(2);
  });

  test('improve with their context length, and cost ln V without any', async () => {
    const { stdout } = await gpt('eval --split val -m chars --baselines --json');
    const found = baselinesOf(stdout);
    expect(found['uniform'].nats_per_token).toBeCloseTo(parse(stdout)[0]['uniform_nats_per_token'], 12);
    const costs = ['uniform', 'unigram', 'bigram', 'kneser_ney_5gram'].map(
      (name) => found[name].bits_per_byte,
    );
    expect(costs).toEqual(costs.toSorted((a, b) => b - a));
    expect(found['gzip'].bits_per_byte).toBeLessThan(found['gzip'].bits_per_byte_alone);
  });

  test('need the training text, which --baseline-text may name', async () => {
    const elsewhere = join(folder, 'chars');
    const line = `eval ${join('..', 'other.txt')} -m . --baselines --json`;
    await expectRefusal(line.split(' '), [1, 'text-unavailable', 'corpus.txt … --baseline-text'], elsewhere);
    await expectRefusal(
      'eval --split val -m .'.split(' '),
      [
        1,
        'text-unavailable',
        'corpus.txt … a file with the same text: --baseline-text <file> replaces the corpus',
      ],
      elsewhere,
    );
    const there = commandsIn(elsewhere);
    const moved = await there(`${line} --baseline-text ../corpus.txt`);
    const here = baselinesOf((await gpt('eval other.txt -m chars --baselines --json')).stdout);
    // The same bytes: so the training split is taken, as in the run.
    expect(baselinesOf(moved.stdout)['kneser_ney_5gram']).toEqual(here['kneser_ney_5gram']);
    const other = await there(`${line} --baseline-text ../other.txt`);
    expect(baselinesOf(other.stdout)['kneser_ney_5gram'].bits_per_byte).toBeLessThan(
      here['kneser_ney_5gram'].bits_per_byte,
    );
  });
});

describe('memorization', () => {
  test('compares samples of the model with its training text, reproducibly for a seed', async () => {
    const line = 'eval --memorization -m chars --num-samples 3 --max-tokens 60';
    const { stdout, code } = await gpt(line);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}wrote +3 texts, 180 tokens, at temperature 1, seed 1$/m);
    expect(stdout).toMatch(/^ {2}new 8-grams of tokens +[\d.]+% +[\d.]+%$/m);
    expect(stdout).toMatch(/^ +\d+ {2}".*", token [\d,]+$/m);
    const json = async (flags: string) => (await gpt(`${line} --json${flags}`)).stdout;
    const found = JSON.parse(await json('')) as {
      written: { longest: { text: string; position: number; tokens: number }[]; texts: number };
    };
    expect(found.written.texts).toBe(3);
    const [{ text: copy, position }] = found.written.longest;
    expect(text.slice(position).startsWith(copy)).toBe(true);
    expect(await json(' --threads 1')).toBe(await json(''));
    expect(await json(' --seed 2')).not.toBe(await json(''));
  });
});

test.each<[name: string, line: string, ...Refusal]>([
  ['files beside --split', 'corpus.txt --split val -m chars', 2, 'conflicting-options', '--split'],
  ['two kinds of table', 'corpus.txt --tokens --baselines -m chars', 2, 'conflicting-options', '--baselines'],
  ['files beside --memorization', 'corpus.txt --memorization', 2, 'conflicting-options', '--memorization'],
  ['--seed without sampling', 'corpus.txt --seed 3 -m chars', 2, 'conflicting-options', '--seed'],
  ['a stride longer than the block', 'other.txt -m chars --stride 17', 2, 'bad-option-value', '17', '16'],
  ['a missing model', 'corpus.txt -m nowhere', 1, 'file-not-found', 'nowhere'],
  ['a missing file', 'nowhere.txt -m chars', 1, 'ENOENT', 'nowhere.txt'],
])('refuses %s', async (_what, line, ...refusal) => {
  await expectRefusal(['eval', ...line.split(' ')], refusal, folder);
});

test.each([
  ['a single token', 'x', 'text-too-short'],
  ['no text', '', 'empty-text'],
])('refuses %s on stdin', async (_what, stdin, errorCode) => {
  await expectRefusal(['eval', '-m', 'chars'], [1, errorCode], folder, stdin);
});
