import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  evaluate,
  load,
  sample,
  train,
  UsageError,
  UserError,
  type Model,
  type SampleOptions,
  type TrainEvent,
  type RunDescription,
} from '../../src/index.ts';
import { run } from '../cli/run.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'library-'));
const corpus = join(folder, 'corpus.txt');
const text = Array.from(
  { length: 300 },
  (_, i) => `the ${['whale', 'sea', 'ship'][(i * i) % 3]} ${i}.\n`,
).join('');
const tiny = { nLayer: 1, nHead: 2, nEmbd: 16, blockSize: 16, batchSize: 4, maxIters: 40, evalInterval: 20 };

let model: Model;
let description: RunDescription | undefined;
const events: TrainEvent[] = [];
beforeAll(async () => {
  writeFileSync(corpus, text);
  const outDir = join(folder, 'model');
  const handlers = {
    start: (made: RunDescription) => (description = made),
    event: (e: TrainEvent) => void events.push(e),
  };
  const result = await train({ corpus: [corpus], outDir, ...tiny }, handlers);
  expect(result).toMatchObject({ folder: outDir, reason: 'finished', progress: { step: 40 } });
  model = await load(outDir);
});
afterAll(() => model.close());

async function write(prompt: string, options: SampleOptions, on = model): Promise<string> {
  let written = '';
  for await (const piece of sample(on, prompt, options)) written += piece;
  return written;
}

describe('train', () => {
  test('describes the run, then every step and evaluation', () => {
    expect(description).toMatchObject({
      startStep: 0,
      tokensPerStep: 64,
      config: { nLayer: 1, blockSize: 16 },
    });
    expect(events.filter(({ type }) => type === 'step')).toHaveLength(40);
    expect(events.filter(({ type }) => type === 'evaluation')).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ type: 'end', reason: 'finished' });
  });

  test('saves and stops when interrupted', async () => {
    const stop = new AbortController();
    const result = await train(
      { corpus: [corpus], outDir: join(folder, 'stopped'), ...tiny },
      {
        event: (event) => void (event.type === 'step' && event.step === 3 && stop.abort()),
        interrupted: () => stop.signal.aborted,
      },
    );
    expect(result).toMatchObject({ reason: 'interrupted', progress: { step: 3 } });
    await (await load(result.folder)).close();
  });

  test('throws the errors that the command line prints', async () => {
    await expect(train({ corpus: [] })).rejects.toThrow(UsageError);
    await expect(train({ corpus: [corpus], ...tiny, nHead: 3 })).rejects.toThrow(
      failure('bad-option-value', '3', '16'),
    );
  });
});

describe('sample', () => {
  test('writes what gpt sample writes', async () => {
    const flags = '--prompt the --seed 7 -n 40 -t 0.7'.split(' ');
    const { stdout } = await run(['sample', '-m', model.source.folder, ...flags]);
    expect(stdout).toBe(`the${await write('the', { seed: 7, maxTokens: 40, temperature: 0.7 })}\n`);
  });

  test('writes the same texts concurrently as one by one', async () => {
    const seeds = [1, 2, 3];
    const alone = [];
    for (const seed of seeds) alone.push(await write('the', { seed, maxTokens: 40 }));
    const together = await Promise.all(seeds.map((seed) => write('the', { seed, maxTokens: 40 })));
    expect(together).toEqual(alone);
    expect(new Set(alone).size).toBe(3);
  });

  test('can be abandoned at any time and then starts over', async () => {
    const whole = await write('the', { seed: 1, maxTokens: 20 });
    for await (const piece of sample(model, 'the', { seed: 1, maxTokens: 20 })) {
      expect(whole.startsWith(piece)).toBe(true);
      break;
    }
    expect(await write('the', { seed: 1, maxTokens: 20 })).toBe(whole);
  });

  test('refuses text outside the vocabulary by default', async () => {
    await expect(write('é', { maxTokens: 1 })).rejects.toThrow(failure('not-in-vocabulary', '"é"'));
    expect(await write('the é', { maxTokens: 3, unk: 'skip' })).toHaveLength(3);
    expect(await write('', { maxTokens: 3 })).toHaveLength(3);
  });
});

describe('evaluate', () => {
  test('measures what gpt eval measures', async () => {
    const { stdout } = await run(['eval', corpus, '-m', model.source.folder, '--json']);
    const measured = await evaluate(model, text);
    expect(measured.bitsPerByte).toBe((JSON.parse(stdout) as { bits_per_byte: number }).bits_per_byte);
    await expect(evaluate(model, '')).rejects.toThrow(UserError);
  });
});

describe('load', () => {
  test('reports what is wrong with a folder', async () => {
    await expect(load(join(folder, 'nowhere'))).rejects.toThrow(failure('file-not-found'));
    const damaged = join(folder, 'stopped', 'config.json');
    writeFileSync(damaged, readFileSync(damaged, 'utf8').slice(1));
    await expect(load(join(folder, 'stopped'))).rejects.toThrow(UserError);
  });

  test('frees everything when it is closed; using it afterwards is an error', async () => {
    const other = await load(model.source.folder, { threads: 2 });
    const pieces = sample(other, 'the', { maxTokens: 9 });
    await pieces.next();
    await other[Symbol.asyncDispose]();
    await expect(pieces.next()).rejects.toThrow(other.source.folder);
    await expect(write('the', {}, other)).rejects.toThrow(other.source.folder);
  });
});

test('the example trains, writes and measures', async () => {
  const script = fileURLToPath(new URL('../../examples/library.mjs', import.meta.url));
  const book = fileURLToPath(new URL('../../docs/architecture.md', import.meta.url));
  const { stdout, stderr, code } = await run([book], { script, cwd: folder });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^checkpoints\/architecture-1: \d\.\d{3} nats per character\n[^]{80}\n\d\.\d\d bits per byte\n$/,
  );
});
