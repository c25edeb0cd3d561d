import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { whaleText } from '../fixtures/whale-text.ts';
import { commandsIn, expectRefusal, runInProcess, type Refusal } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'commands-'));
const corpus = join(folder, 'corpus.txt');
const text = whaleText(400);
const tiny =
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 40 --warmup-iters 2'.split(
    ' ',
  );
const at = commandsIn(folder);

/** A model that the tests below share. */
const model = join(folder, 'checkpoints/corpus-1');
let trained: Awaited<ReturnType<typeof at>>;
beforeAll(async () => {
  writeFileSync(corpus, text);
  trained = await at(['train', 'corpus.txt', ...tiny]);
});

describe('train', () => {
  test('shows a plan, the first loss next to ln V, progress and the next commands', () => {
    const { stdout, stderr, code } = trained;
    expect(code).toBe(0);
    expect(stdout).toBe('checkpoints/corpus-1\n');
    expect(stderr).toMatch(/corpus +corpus\.txt, .* characters/);
    expect(stderr).toMatch(/vocabulary +\d+ characters and <unk>/);
    expect(stderr).toMatch(/model +.*1 layers?, 2 heads, 16 channels, block 16; [\d.]+K parameters/);
    expect(stderr).toMatch(/first loss \d\.\d{4}; guessing costs ln\(V\) = \d\.\d{4}/);
    expect(stderr).toMatch(/step 40 {2}train \d\.\d{4} {2}val \d\.\d{4} best/);
    expect(stderr).toContain('gpt sample -m checkpoints/corpus-1 --prompt ');
    const [, first, uniform] = /first loss ([\d.]+); guessing costs ln\(V\) = ([\d.]+)/.exec(stderr)!;
    expect(Math.abs(Number(first) - Number(uniform))).toBeLessThan(0.1);
  });

  test('leaves a Hugging Face model folder, a checkpoint and its metrics', () => {
    expect(readdirSync(model).sort()).toEqual([
      'README.md',
      'checkpoint-40',
      'config.json',
      'generation_config.json',
      'metrics.jsonl',
      'model.safetensors',
      'samples.jsonl',
      'speed.jsonl',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const lines = readFileSync(join(model, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const metrics = lines.map((line) => JSON.parse(line) as Record<string, number>);
    expect(metrics.filter((m) => m['loss'] !== undefined).length).toBe(40);
    expect(metrics.at(-1)).toMatchObject({ step: 40, end: 'finished' });
    expect(metrics.at(-2)?.['val_loss_estimate']).toBeLessThan(metrics[0]['loss']);
    const state = JSON.parse(readFileSync(join(model, 'checkpoint-40/gpt_trainer_state.json'), 'utf8'));
    expect(state).toMatchObject({
      step: 40,
      seed: 1337,
      tokens_seen: 40 * 64,
      options: { maxIters: 40, nLayer: 1 },
    });
  });

  test('gives the same bytes for the same seed at any thread count, and others for another seed', async () => {
    const train = async (name: string, ...flags: string[]): Promise<Buffer> => {
      await runInProcess([
        'train',
        corpus,
        ...tiny,
        '-q',
        '-o',
        join(folder, name),
        '--dropout',
        '0.1',
        ...flags,
      ]);
      const last = join(folder, name, 'checkpoint-40');
      return Buffer.concat(
        ['model', 'optimizer'].map((file) => readFileSync(join(last, `${file}.safetensors`))),
      );
    };
    const one = await train('one', '--threads', '1');
    expect((await train('three', '--threads', '3')).equals(one)).toBe(true);
    expect((await train('other', '--seed', '2')).equals(one)).toBe(false);
  });

  test('--json prints the result, --quiet nothing else', async () => {
    const { stdout, stderr } = await at(`train corpus.txt ${tiny.join(' ')} --json -q -o json`);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ folder: 'json', reason: 'finished', steps: 40 });
  });

  test('learns the same from a token file as from its text', async () => {
    await at('tokenize corpus.txt -o ids -q');
    const result = async (what: string, name: string) => {
      const { stdout, stderr, code } = await at(`train ${what} ${tiny.join(' ')} -q --json -o ${name}`);
      expect(code, stderr).toBe(0);
      return (JSON.parse(stdout) as { val_loss: number }).val_loss;
    };
    expect(await result('ids/tokens.bin', 'from-ids')).toBe(await result('corpus.txt', 'from-text'));
    const refuses = (line: string, ...refusal: Refusal) => expectRefusal(line.split(' '), refusal, folder);
    await refuses(
      'train ids/tokens.bin --vocab-size 9',
      2,
      'conflicting-options',
      '--vocab-size … gpt tokenize',
    );
    await refuses(
      'train ids/tokens.bin --tokenizer word',
      2,
      'conflicting-options',
      '--tokenizer … word … ids/tokens.bin … char',
    );
    await refuses('train ids', 1, 'empty-text', 'hint: … ids/tokens.bin');
    for (const flag of [
      '--encoding latin1',
      '--encoding-errors replace',
      '--documents lines',
      '--skip-bad-lines',
    ])
      await refuses(
        `train ids/tokens.bin ${flag}`,
        2,
        'conflicting-options',
        `${flag.split(' ')[0]} … token file`,
      );
  });

  test('reads a pipe, words, accumulates gradients and stops early', async () => {
    const flags =
      '--tokenizer word --min-frequency 2 --gradient-accumulation-steps 2 --eval-interval 5 --patience 2';
    const { stderr, code } = await at(
      `train - ${tiny.join(' ')} ${flags} --learning-rate 0 --optimizer sgd --schedule linear -o words`,
      { stdin: text },
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/corpus +stdin/);
    expect(stderr).toMatch(/early stopping: no improvement/);
  });

  test('Ctrl-C saves and exits with 130', async () => {
    const flags = tiny.join(' ').replace('--max-iters 40', '--max-iters 1000000');
    let sent = false;
    const { stderr, signal } = await at(`train corpus.txt ${flags} -o interrupted`, {
      onOutput: (output, send) => {
        if (sent || !output.includes('first loss')) return;
        sent = true;
        send('SIGINT');
      },
    });
    expect(signal).toBe('SIGINT');
    expect(stderr).toMatch(/Interrupted after [\d,]+ steps?/);
    expect(existsSync(join(folder, 'interrupted/model.safetensors'))).toBe(true);
  });

  test.each<[name: string, flags: string, ...Refusal]>([
    ['a block longer than the text', '--block-size 90000', 2, 'text-too-short', '90000', '90001'],
    [
      'two validation texts',
      '--val-file corpus.txt --val-fraction 0.1',
      2,
      'commander.conflictingOption',
      '--val-file',
      '--val-fraction',
    ],
  ])('refuses %s', async (_name, flags, ...refusal) => {
    await expectRefusal(['train', 'corpus.txt', ...flags.split(' ')], refusal, folder);
  });
});

describe('tokenize', () => {
  test.each([
    '--tokenizer char',
    '--vocab-size 500',
    '--min-frequency 7',
    '--rare-words unk',
    '--special-tokens <|a|>',
  ])('refuses %s beside a tokenizer that exists', async (flags) => {
    await at('tokenize corpus.txt -o fixed');
    const { stderr, code } = await at(`tokenize corpus.txt -m fixed ${flags}`);
    expect(code).toBe(2);
    expect(stderr).toContain(`${flags.split(' ')[0]} has no effect with --model`);
  });

  test.each(['--tokenizer bpe', '--documents lines', '--skip-bad-lines', '--json', '-o elsewhere'])(
    'refuses %s in a pipe',
    async (flags) => {
      for (const filter of ['--encode', '--decode'])
        await expectRefusal(
          ['tokenize', filter, '-m', 'fixed', ...flags.split(' ')],
          [2, 'conflicting-options', `no effect with ${filter}`],
          folder,
        );
    },
  );

  test('lists the most frequent tokens, in as many lines as they need', async () => {
    const { stdout } = await at('tokenize -', { stdin: 'aaab' });
    expect(stdout).toMatch(/most frequent +"a" 75.0% {2}"b" 25.0%\n$/);
  });

  test('prints statistics and writes a tokenizer and a token file', async () => {
    const { stdout, stderr, code } = await at('tokenize corpus.txt --tokenizer word -o out');
    expect(code).toBe(0);
    expect(stdout).toMatch(/tokens +[\d,]+\n.*vocabulary +\d+/);
    expect(stderr).toMatch(/out\/tokenizer\.json.*out\/tokens\.bin/);
    expect(readdirSync(join(folder, 'out')).sort()).toEqual(['tokenizer.json', 'tokens.bin']);
  });

  test('a text that cannot be read leaves no folder, and nothing in one that exists', async () => {
    writeFileSync(join(folder, 'bad.txt'), 'Call me\0');
    mkdirSync(join(folder, 'there'));
    for (const outDir of ['new', 'there'])
      await expectRefusal(
        ['tokenize', 'corpus.txt', 'bad.txt', '-m', 'out', '-o', outDir],
        [1, 'not-text', 'bad.txt'],
        folder,
      );
    expect(existsSync(join(folder, 'new'))).toBe(false);
    expect(readdirSync(join(folder, 'there'))).toEqual([]);
  });

  test('its token file is not read as text', async () => {
    for (const line of ['tokenize out/tokens.bin', 'tokenize corpus.txt out/tokens.bin'])
      await expectRefusal(line.split(' '), [1, 'not-text', 'out/tokens.bin … training'], folder);
  });

  test('is a lossless pair of filters', async () => {
    const input = text.split('\n').slice(0, 9).join('\n');
    const { stdout: ids } = await at('tokenize --encode -m out', { stdin: input });
    expect(ids).toMatch(/^[\d\s]+$/);
    expect((await at('tokenize --decode -m out', { stdin: ids })).stdout).toBe(input);
    expect((await at('tokenize --decode -m out', { stdin: '1 99999' })).stderr).toContain('"99999"');
  });
});

describe('gradcheck', () => {
  test('prints a row for every op and a summary', async () => {
    const { stdout, stderr, code } = await runInProcess(['gradcheck', '--limit', '3']);
    expect(code).toBe(0);
    for (const op of ['embedding', 'linear', 'gelu', 'layerNorm', 'attention', 'crossEntropy'])
      expect(stdout).toMatch(new RegExp(`^${op}.* ok$`, 'm'));
    expect(stderr).toMatch(/\d+ gradients checked, all correct/);
  });
});
