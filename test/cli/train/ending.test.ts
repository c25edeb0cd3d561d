/** What a run says when it ends: one loss, wherever it is asked for, and lines that can be pasted. */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { openModelFolder } from '../../../src/checkpoint/open-model.ts';
import { printEnd } from '../../../src/cli/train/ending.ts';
import type { DeviceChoice } from '../../../src/engine/device-choice.ts';
import type { RunDescription } from '../../../src/train/train-handlers.ts';
import { trainModel } from '../../../src/train/train-model.ts';
import { bytesOf, differences } from '../../fixtures/run-bytes.ts';
import { whaleText } from '../../fixtures/whale-text.ts';
import { runInProcess } from '../in-process.ts';
import { gpt, run } from '../run.ts';

const folder = mkdtempSync(join(tmpdir(), 'ending-'));
const at = (args: readonly string[]) => runInProcess(args, folder);
const tiny = '--n-layer 1 --n-head 2 --n-embd 32 --block-size 16 --batch-size 8'.split(' ');

describe('a model that has memorized a short text', () => {
  // Other words in the validation split than in what is learnt: the best model comes early.
  const learnt = ['train', 'short.txt', ...tiny, '--learning-rate', '0.02', '--max-iters', '60'];
  const evaluated = ['--eval-interval', '10', '--eval-iters', '1', '--seed', '3', '-o', 'run'];
  let ended: { stdout: string; stderr: string };
  const json = async (line: string) =>
    JSON.parse((await at(line.split(' '))).stdout) as Record<string, unknown>;

  beforeAll(async () => {
    const validation = 'slow rivers wind past quiet mills and stony hollow ways.\n'.repeat(2);
    writeFileSync(join(folder, 'short.txt'), 'the whale and the sea\n'.repeat(40) + validation);
    ended = await at([...learnt, ...evaluated]);
  });

  test('the last lines give the loss of the model that is kept, and name the checkpoint of the best one', async () => {
    const { best_step: step, val_loss: loss } = (await json('inspect run --json'))['training'] as Record<
      string,
      number
    >;
    expect(step).toBeGreaterThan(0);
    expect(step).toBeLessThan(60);
    expect(ended.stderr).toMatch(
      new RegExp(`^Validation loss ${loss.toFixed(4)} .*whole validation split`, 'm'),
    );
    expect(ended.stderr).toMatch(new RegExp(`best model.*\\b${step}\\b.* run/`));
    expect(ended.stderr).toMatch(/last step.* run\/checkpoint-60\/.*\b0\.\d{4}/);
    expect(ended.stderr).not.toContain('  train more ');
  });

  test('the last lines name a baseline that does as well, with its loss as `gpt eval` gives it', async () => {
    const { baselines } = await json('eval --split val -m run --baselines --json');
    const { nats_per_token: loss } = (baselines as Record<string, { nats_per_token: number }>)['unigram'];
    expect(ended.stderr).toMatch(new RegExp(`unigram baseline.*${loss.toFixed(4)}`));
    expect(ended.stderr).toMatch(/--n-embd.*more text/);
    const regular = ['train', 'regular.txt', ...tiny, '--learning-rate', '0.02', '--max-iters', '60'];
    writeFileSync(join(folder, 'regular.txt'), 'the whale and the sea\n'.repeat(60));
    expect((await at([...regular, '-o', 'regular'])).stderr).not.toContain('baseline');
  });

  test('train, inspect, compare, report, eval, the log and the weights agree to the last digit', async () => {
    const loss = (await json('inspect run --json'))['training'] as Record<string, number>;
    const { val_loss: expected, best_step: step } = loss;
    const again = await at([...learnt, ...evaluated.slice(0, -1), 'again', '--json', '-q']);
    expect(JSON.parse(again.stdout)).toMatchObject({ val_loss: expected, best_step: step });
    expect((await json('compare run again --json'))['runs']).toMatchObject([
      { val_loss: expected, best_step: step },
      { val_loss: expected, best_step: step },
    ]);
    const evaluation = await json('eval --split val -m run --json');
    expect(evaluation['nats_per_token']).toBeCloseTo(expected, 6);
    const { bits_per_byte: perByte } = JSON.parse(again.stdout) as { bits_per_byte: number };
    expect(perByte).toBeCloseTo(evaluation['bits_per_byte'] as number, 6);
    expect(ended.stderr).toContain(`(${perByte.toFixed(3)} bits per byte)`);
    const page = (await at(['report', 'run', '-o', '-'])).stdout;
    expect(page).toContain(`<dt>Validation loss</dt>`);
    expect(page).toContain(`<strong>${expected.toFixed(4)}</strong>`);
    expect(openModelFolder(join(folder, 'run')).metadata).toMatchObject({
      step: String(step),
      val_loss: String(expected),
    });
    const log = readFileSync(join(folder, 'run/metrics.jsonl'), 'utf8').trim().split('\n');
    expect(JSON.parse(log.at(-1)!)).toEqual({
      step: 60,
      end: 'finished',
      best_step: step,
      val_loss: expected,
      tokens_seen: expect.any(Number),
      elapsed_seconds: expect.any(Number),
    });
  });

  test('a run killed during its final evaluation resumes to the same bytes', async () => {
    const copy = join(folder, 'killed');
    cpSync(join(folder, 'run'), copy, { recursive: true });
    const metrics = join(copy, 'metrics.jsonl');
    writeFileSync(metrics, readFileSync(metrics, 'utf8').replace(/.*"end".*\n/, ''));
    copyFileSync(join(copy, 'checkpoint-60/best.safetensors'), join(copy, 'model.safetensors'));
    expect(await at(['train', '--resume', 'killed'])).toMatchObject({ code: 0 });
    expect(differences(bytesOf(copy), bytesOf(join(folder, 'run')))).toEqual([]);
  });

  test('an unfinished run has an estimated loss instead of val_loss', async () => {
    const metrics = join(folder, 'again/metrics.jsonl');
    writeFileSync(metrics, readFileSync(metrics, 'utf8').replace(/.*"end".*\n/, ''));
    copyFileSync(
      join(folder, 'again/checkpoint-60/best.safetensors'),
      join(folder, 'again/model.safetensors'),
    );
    expect((await json('inspect again --json'))['training']).toMatchObject({ val_loss: null });
    expect((await at(['inspect', 'again'])).stdout).toMatch(
      /validation loss +≈\d\.\d{4} at step \d+, an estimate/,
    );
    expect((await at(['compare', 'run', 'again'])).stdout).toContain('≈: an estimate');
  });
});

describe.skipIf(process.platform === 'win32')('the commands suggested at the end', () => {
  /** With a few steps in place of the minutes that the last of them takes. */
  const linesOf = (stderr: string): string[] =>
    Array.from(stderr.matchAll(/^ {2}(?:try it|measure it|train more|resume) +(.*)$/gm), ([, line]) =>
      line.replace(/--minutes \d+/, '--max-iters 25'),
    );

  test('run as they are, whatever the folder is called', async () => {
    writeFileSync(join(folder, "it's $HOME.txt"), whaleText(200));
    const { stderr, stdout } = await run(
      ['train', "it's $HOME.txt", ...tiny, '--max-iters', '20', '-o', "a `b` isn't $c"],
      { cwd: folder, env: { GPT_STARTED_AS: undefined } },
    );
    expect(stdout).toBe("a `b` isn't $c\n");
    const lines = linesOf(stderr);
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line).toContain(`node ${gpt} `);
      const result = await run(['-c', line], { node: 'sh', script: '-e', cwd: folder });
      expect(result, line).toMatchObject({ code: 0 });
    }
  });

  test('do not read the pipe again after a text from a pipe', async () => {
    const { stderr } = await run(['train', '-', ...tiny, '--max-iters', '5', '-o', 'piped'], {
      cwd: folder,
      stdin: whaleText(100),
    });
    expect(linesOf(stderr)).toEqual([expect.stringMatching(/^gpt sample -m piped --prompt ["'\w]/)]);
  });

  test('do not evaluate on a validation split that does not exist', async () => {
    const { stderr } = await at([
      'train',
      'short.txt',
      ...tiny,
      '--max-iters',
      '5',
      '--val-fraction',
      '0',
      '-o',
      'all',
    ]);
    expect(stderr).not.toContain('--split');
    expect(stderr).toMatch(/without a validation split/i);
  });
});

test('the average of the weights, where it is the better model, is named by every command', async () => {
  writeFileSync(join(folder, 'whale.txt'), whaleText(200));
  const averaged = ['--schedule', 'constant', '--learning-rate', '0.03', '--ema-decay', '0.95'];
  const options = [...tiny, ...averaged, '--max-iters', '60', '--eval-interval', '20', '--seed', '3'];
  const { stderr } = await at(['train', 'whale.txt', ...options, '-o', 'averaged']);
  expect(stderr).toMatch(
    /^step 60 {2}train \d\.\d{4} {2}val \d\.\d{4} \(average; weights \d\.\d{4}\) best$/m,
  );
  expect(stderr).toMatch(/best model.*average.*step 60.* averaged\//);
  expect(stderr).toMatch(/last step.* averaged\/checkpoint-60\//);
  expect((await at(['inspect', 'averaged'])).stdout).toMatch(/weights +moving average at step 60/);
  const { training } = JSON.parse((await at(['inspect', 'averaged', '--json'])).stdout) as {
    training: Record<string, unknown> & { evaluations: Record<string, number>[] };
  };
  expect(training).toMatchObject({ best_is_average: true, best_step: 60 });
  const last = training.evaluations.at(-1)!;
  expect(last['val_loss_estimate']).toBe(last['average_val_loss_estimate']);
  expect(last['average_val_loss_estimate']).toBeLessThan(last['weights_val_loss_estimate']);
  const page = (await at(['report', 'averaged', '-o', '-'])).stdout;
  expect(page).toContain('average of the weights at step 60');
  expect(page).toContain('validation text, without averaging the weights');
});

test('commands to paste name the GPU that was asked for, except to resume', async () => {
  writeFileSync(join(folder, 'corpus.txt'), whaleText(50));
  let started: RunDescription | undefined;
  const result = await trainModel(
    {
      corpus: [join(folder, 'corpus.txt')],
      outDir: join(folder, 'suggested'),
      nLayer: 1,
      nHead: 1,
      nEmbd: 8,
      blockSize: 8,
      maxIters: 2,
      sampleTokens: 0,
    },
    { start: (made) => (started = made) },
  );
  const linesAfter = (backend: string, device: DeviceChoice | undefined): string[] => {
    let shown = '';
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      shown += String(text);
      return true;
    });
    const ending = { seconds: 1, lastEvaluation: undefined, comparison: {} };
    printEnd(result, { ...ending, run: { ...started!, backend }, device });
    write.mockRestore();
    return stripVTControlCharacters(shown)
      .split('\n')
      .filter((line) => /^  (try it|measure it|train more) /.test(line));
  };
  const plain = linesAfter('wasm relaxed, 1 thread', undefined);
  expect(plain).toHaveLength(3);
  expect(linesAfter('wasm relaxed, 1 thread', 'auto')).toEqual(plain);
  expect(linesAfter('webgpu acme', undefined)).toEqual(plain); // GPT_DEVICE still says so
  for (const device of ['webgpu', 'auto'] as const)
    expect(linesAfter('webgpu acme', device)).toEqual([
      `${plain[0]} --device ${device}`,
      `${plain[1]} --device ${device}`,
      plain[2],
    ]);
});
