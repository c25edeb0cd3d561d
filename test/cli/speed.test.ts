import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeThreads } from '../../src/cli/doctor.ts';
import { commandsIn } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'speed-'));
writeFileSync(
  join(folder, 'corpus.txt'),
  'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60),
);
const at = commandsIn(folder);
const tiny =
  'train corpus.txt --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 30';

describe('train --profile', () => {
  test('shows each kernel with its share, rate and waiting, and the step as a whole', async () => {
    const { stderr, code } = await at(`${tiny} --profile`);
    expect(code).toBe(0);
    expect(stderr).toMatch(/kernel +share +ms a step +runs +rate +waiting/);
    expect(stderr).toMatch(/gemm 64×48×16 A·B +[\d.]+% +\d\.\d{3} +1 +[\d.]+ GFLOP\/s +[\d.]+%/);
    expect(stderr).toMatch(/adamw +[\d.]+% +\d\.\d{3} +1 +[\d.]+ GB\/s +[\d.]+%/);
    expect(stderr).toMatch(/outside the kernels +[\d.]+%/);
    expect(stderr).toMatch(/[\d.]+ ms per step over 30 steps, [\d,.]+ tok\/s, [\d.]+ GFLOP\/s;/);
    const shares = [...stderr.matchAll(/^ {2}\S.* {2,}([\d.]+)% +\d+\.\d{3}(?: |$)/gm)].map(([, share]) =>
      Number(share),
    );
    expect(shares.length).toBeGreaterThan(15);
    expect(Math.abs(shares.reduce((a, b) => a + b, 0) - 100)).toBeLessThan(2);
  });
  test('is part of the JSON of train', async () => {
    const { stdout } = await at(`${tiny} --profile --json -q`);
    const { profile } = JSON.parse(stdout) as { profile: { steps: number; kernels: { runs: number }[] } };
    expect(profile.steps).toBe(30);
    expect(profile.kernels.every(({ runs }) => runs % 30 === 0)).toBe(true);
  });
  test('changes no byte of the result', async () => {
    const loss = async (flags: string) =>
      (JSON.parse((await at(`${tiny} --json -q ${flags}`)).stdout) as { val_loss: number }).val_loss;
    expect(await loss('--profile')).toBe(await loss('--threads 1'));
  });
});

test('a run that does not fit in memory is refused before anything is allocated', async () => {
  const { code, stderr } = await at('train corpus.txt --preset gpt2 --batch-size 64 --block-size 512');
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^error: .*[\d.]+ GB .*[\d.]+ GB\nhint: .*--batch-size \d+ --gradient-accumulation-steps \d+, .*[\d.]+ GB\n$/,
  );
});

test('bench measures the models given', async () => {
  const { code, stdout } = await at('bench nano --seconds 0.1');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^model +params +batch +memory +training +step +GEMM +sampling\n/);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(stdout).toMatch(
    /nano +810K +12×64 +[\d.]+ MB +[\d,]+ tok\/s +[\d.]+ ms +[\d.]+ GFLOP\/s +[\d,]+ tok\/s\n$/,
  );
});

test('doctor reports the engine, its peak rates and advice', async () => {
  const { code, stdout } = await at('doctor --json --seconds 0.1');
  expect(code).toBe(0);
  const found = JSON.parse(stdout) as Record<string, unknown> & {
    kernels: { name: string; seconds: number }[];
  };
  expect(found).toMatchObject({ cores: expect.any(Number), engine: expect.stringMatching(/^wasm /) });
  expect(found['active_threads']).toBeGreaterThanOrEqual(1);
  expect(found['active_threads']).toBeLessThanOrEqual(found['threads'] as number);
  expect(found['busy_cores']).toBeGreaterThanOrEqual(0);
  expect(found['peak_flops']).toBeGreaterThan(1e8);
  expect(found['read_bandwidth']).toBeGreaterThan(1e7);
  expect(found.kernels.map(({ name }) => name)).toContain('attentionBackward');
  expect(found).toHaveProperty('gpu.problem'); // without the npm package
  expect(Array.isArray(found['advice'])).toBe(true);
  expect(Object.keys(found).filter((key) => /[A-Z]/.test(key))).toEqual([]);
});

describe('doctor on threads and cores', () => {
  const kernels = [{ name: 'gemm', runs: 1, seconds: 2, waited: 0.5, flops: 0, bytes: 0 }];
  test('says nothing where each thread has a core', () => {
    expect(describeThreads({ busyCores: 0.1, activeThreads: 2, threads: 2, kernels })).toEqual([]);
  });
  test.each([
    [2, 2, /still ran on all 2 threads, which waited for each other 25\.0% of the time.*tries fewer threads/],
    [1, 2, /ran on 1 of 2 threads: more were slower.*tries more threads/],
    [1, 1, /has only one thread/],
  ])(
    'next to busy cores, explains why %i of %i threads ran and how the engine adapts',
    (active, threads, why) => {
      const lines = describeThreads({ busyCores: 1.9, activeThreads: active, threads, kernels });
      expect(lines[0]).toMatch(/other programs.*\b1\.9 of \d+ cores/);
      expect(lines.slice(1).join('; ')).toMatch(why);
    },
  );
});
