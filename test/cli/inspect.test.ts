import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { whaleText } from '../fixtures/whale-text.ts';
import { commandsIn, expectRefusal, type Refusal } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'inspect-'));
const text = whaleText(300);
const tiny =
  '--n-layer 2 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 30 --eval-interval 10 --warmup-iters 2';
const gpt = commandsIn(folder);
const train = (flags: string) => gpt(`train corpus.txt ${tiny} ${flags}`.split(' '));

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  await train('-q -o words --tokenizer word');
  await train('-o checkpoints/chars');
});

describe('inspect', () => {
  test('shows shape, parameters by part, history, tokenizer and weights of the newest run', async () => {
    const { stdout, stderr, code } = await gpt(['inspect']);
    expect(stderr).toMatch(/^.*newest.* checkpoints\/chars\n$/);
    expect(code).toBe(0);
    expect(stdout).toMatch(/model +checkpoints\/chars\n/);
    expect(stdout).toMatch(/shape +2 layers, 2 heads, 16 channels, block 16; [\d.]+K parameters/);
    expect(stdout).toMatch(/tokenizer +char, \d+ tokens/);
    expect(stdout).toMatch(/token embedding +\d+ +[\d.]+%/);
    expect(stdout).toMatch(/steps +30, 1.92K tokens/);
    expect(stdout).toMatch(/validation loss +\d\.\d{4} at step 30, on the whole split/);
    expect(stdout).toMatch(/time +.* in steps, [\d,.]+ tok\/s/);
    expect(stdout).toMatch(/h\.1\.attn\.c_attn\.weight +16×48 /);
    expect(stdout).toMatch(/h\.0\.ln_1\.weight +16 +1\.000|h\.0\.ln_1\.weight +16 +(0\.9|1\.0)/);
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  test('--json has the same as the text', async () => {
    const { stdout } = await gpt(['inspect', 'words', '--json']);
    const found = JSON.parse(stdout) as {
      parameters: { total: number; by_part: Record<string, number> };
      training: { evaluations: unknown[] };
      weights: { name: string; std: number }[];
    };
    expect(found).toMatchObject({
      config: { n_layer: 2, n_embd: 16 },
      tokenizer: { kind: 'word' },
      training: { steps: 30, options: { max_iters: 30 } },
    });
    expect(Object.values(found.parameters.by_part).reduce((a, b) => a + b)).toBe(found.parameters.total);
    expect(found.training.evaluations.length).toBe(3);
    expect(found.weights[0].name).toBe('wte.weight');
    expect(found.weights.length).toBe(28);
  });

  test('a run with a damaged log: a warning says which lines are left out', async () => {
    cpSync(join(folder, 'words'), join(folder, 'damaged'), { recursive: true });
    appendFileSync(join(folder, 'damaged/metrics.jsonl'), 'garbage\n');
    const { stdout, stderr, code } = await gpt(['inspect', 'damaged']);
    expect(stderr).toMatch(/^warning: damaged\/metrics\.jsonl: line \d+ .*\n$/);
    expect(stdout).toMatch(/steps +30/);
    expect(code).toBe(0);
  });

  test('a model without training records is shown without them', async () => {
    cpSync(join(folder, 'words'), join(folder, 'bare'), { recursive: true });
    for (const part of ['metrics.jsonl', 'samples.jsonl', 'speed.jsonl', 'checkpoint-30'])
      rmSync(join(folder, 'bare', part), { recursive: true, force: true });
    const { stdout, code } = await gpt(['inspect', 'bare']);
    expect(stdout).toContain('has no metrics.jsonl');
    expect(code).toBe(0);
  });
});

describe('inspect --neighbors', () => {
  test('lists the nearest tokens of a word, and of the word with a leading space', async () => {
    const { stdout } = await gpt(['inspect', 'words', '--neighbors', 'and', '--top', '3', '--json']);
    const { tokens } = JSON.parse(stdout) as {
      tokens: { text: string; neighbors: { id: number; text: string; cosine: number }[] }[];
    };
    expect(tokens.map((token) => token.text)).toEqual(['and', ' and']);
    for (const { neighbors } of tokens) {
      expect(neighbors.length).toBe(3);
      const cosines = neighbors.map(({ cosine }) => cosine);
      expect(cosines).toEqual(cosines.toSorted((a, b) => b - a));
      expect(cosines[0]).toBeLessThanOrEqual(1);
    }
    const shown = await gpt(['inspect', 'words', '--neighbors', 'and', '--top', '3']);
    expect(shown.stdout).toMatch(/ {2}and, token \d+: nearest by cosine\n/);
    expect(shown.stdout).toContain('␣and, token');
  });

  test('splits a text that is not one token, and refuses one without known tokens', async () => {
    const { stdout } = await gpt(['inspect', '--neighbors', 'sea', '--json']);
    const { tokens } = JSON.parse(stdout) as { tokens: { text: string }[] };
    expect(tokens.map((token) => token.text)).toEqual(['s', 'e', 'a']);
    for (const unknown of ['é', 'seaé'])
      await expectRefusal(
        ['inspect', '--neighbors', unknown],
        [1, 'not-in-vocabulary', '"é" (U+00E9) … hint: … --unk skip'],
        folder,
      );
    const skipped = await gpt(['inspect', '--neighbors', 'seaé', '--unk', 'skip', '--json']);
    expect(skipped.stdout).toBe(stdout);
    const nothing = ['inspect', '--neighbors', 'é', '--unk', 'skip'];
    await expectRefusal(nothing, [1, 'not-in-vocabulary', 'hint:'], folder);
  });
});

describe('inspect --attention', () => {
  test('draws a triangle of shades within 80 columns, and a row for each head', async () => {
    const { stdout, code } = await gpt(['inspect', '--attention', 'the whale']);
    expect(code).toBe(0);
    expect(stdout).toContain('Attention, the mean of 2 layers, 2 heads');
    expect(stdout).toMatch(/^ {2}t {2}██$/m);
    expect(stdout).toMatch(/^ {2}e {2}[·░▒▓█]{6}$/m);
    expect(stdout).toMatch(/layer 1, head 1 +\d+% +\d+% +\d+% +[\d.]+ +\d+%/);
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  test('--json has every map, or the chosen ones', async () => {
    const maps = async (...flags: string[]) => {
      const { stdout } = await gpt(['inspect', '--attention', 'the sea', '--json', ...flags]);
      return (JSON.parse(stdout) as { maps: { layer: number; head: number; weights: number[][] }[] }).maps;
    };
    const all = await maps();
    expect(all.map(({ layer, head }) => [layer, head])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    for (const { weights } of all)
      weights.forEach((row, i) => {
        expect(row.length).toBe(i + 1);
        expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
      });
    expect(await maps('--layer', '1', '--head', '0')).toEqual([all[2]]);
    expect(await maps('--threads', '1')).toEqual(all);
  });

  test('uses colors if enabled, and never those of a text', async () => {
    const env = { FORCE_COLOR: '1' };
    const { stdout } = await gpt(['inspect', '--attention', 'the sea\n'], { env });
    expect(stdout).toContain('\u001b[31m██\u001b[39m');
    expect(stdout).toContain('↵');
  });

  test('reads stdin, and truncates a long text to the context length', async () => {
    const { stdout, stderr } = await gpt(['inspect', '--attention', '-', '--json'], {
      stdin: 'the whale of the sea\n',
    });
    expect(stderr).toMatch(/\b20 tokens.*\b16\b/);
    expect((JSON.parse(stdout) as { tokens: unknown[] }).tokens.length).toBe(16);
  });
});

describe('inspect --logits', () => {
  test('shows the likeliest next tokens after each layer', async () => {
    const { stdout, code } = await gpt(['inspect', '--logits', 'the whal']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}t +.*h +\d+% (1st|2nd|3rd|\d+th)$/m);
    expect(stdout).toMatch(/embedding +layer 0 +layer 1/);
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  test('--json has the likeliest tokens of every layer', async () => {
    const { stdout } = await gpt(['inspect', '--logits', 'the', '--json', '--top', '2']);
    const { positions } = JSON.parse(stdout) as {
      positions: {
        text: string;
        next: { text: string } | null;
        layers: { after: string; top: { probability: number }[]; next_rank: number | null }[];
      }[];
    };
    expect(positions.map(({ text: token, next }) => [token, next?.text ?? null])).toEqual([
      ['t', 'h'],
      ['h', 'e'],
      ['e', null],
    ]);
    expect(positions[0].layers.map(({ after }) => after)).toEqual(['embedding', 'h.0', 'h.1']);
    expect(positions[0].layers.every(({ top }) => top.length === 2)).toBe(true);
    expect(positions[2].layers[0].next_rank).toBeNull();
  });
});

describe('inspect refuses', () => {
  test.each<[name: string, args: readonly string[], ...Refusal]>([
    ['two kinds of view', ['--attention', 'a', '--logits', 'a'], 2, 'conflicting-options', '--attention'],
    ['--layer without --attention', ['--layer', '1'], 2, 'conflicting-options', '--layer', '--attention'],
    ['a layer beyond the last', ['--attention', 'a', '--layer', '2'], 2, 'bad-option-value', '--layer', '2'],
    ['a head beyond the last', ['--attention', 'a', '--head', '9'], 2, 'bad-option-value', '--head', '9'],
    ['an empty text', ['--logits', ''], 2, 'bad-option-value', '--logits', '""'],
    ['an unknown character', ['--logits', 'thé'], 1, 'not-in-vocabulary', '"é"', 'U+00E9', 'position 3'],
    ['a folder that does not exist', ['nowhere'], 1, 'file-not-found', 'nowhere'],
    ['a count of 0', ['--neighbors', 'a', '--top', '0'], 2, 'bad-option-value', '--top', '"0"', '100'],
  ])('%s', async (_name, args, ...refusal) => {
    await expectRefusal(['inspect', ...args], refusal, folder);
  });
});
