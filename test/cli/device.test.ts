import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { readTrainerState, trainerStateText } from '../../src/checkpoint/trainer-state.ts';
import { chooseDevice, gpuMemoryLimit } from '../../src/engine/device-choice.ts';
import { setWebGpuFolder } from '../../src/engine/webgpu-package.ts';
import { expectRefusal, runInProcess } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'device-'));
const missing = join(folder, 'missing');

afterEach(async () => {
  vi.unstubAllEnvs();
  setWebGpuFolder(undefined);
  await chooseDevice('cpu');
});

describe('--device webgpu', () => {
  test('without the npm package says how to add it, and where it was looked for', async () => {
    vi.stubEnv('GPT_WEBGPU', missing);
    writeFileSync(join(folder, 'corpus.txt'), 'the whale, the whale, the whale. '.repeat(20));
    for (const command of [
      'train corpus.txt --max-iters 2',
      'sample --prompt a',
      'eval',
      'bench --seconds 0.1',
      'plan --preset nano --max-iters 10',
    ])
      await expectRefusal(
        [...command.split(' '), '--device', 'webgpu'],
        [1, 'engine-unavailable', 'webgpu', 'npm install webgpu', missing],
        folder,
      );
    expect(gpuMemoryLimit()).toBeUndefined();
  });

  test('names a package that is there, but is not it', async () => {
    writeFileSync(join(folder, 'index.js'), 'module.exports = {};');
    vi.stubEnv('GPT_WEBGPU', folder);
    vi.stubEnv('GPT_DEVICE', 'webgpu');
    await expectRefusal(['eval'], [1, 'engine-unavailable', 'cannot be loaded'], folder);
  });
});

test('a device that does not exist is refused with those that do', async () => {
  await expectRefusal(
    ['sample', '--device', 'tpu'],
    [2, 'bad-option-value', 'tpu', 'auto', 'cpu', 'webgpu'],
    folder,
  );
});

test('--device of gpt plan may also be an accelerator of its table', async () => {
  const { code, stdout } = await runInProcess(
    ['plan', '--preset', 'nano', '--max-iters', '10', '--device', 'h100'],
    folder,
  );
  expect(code).toBe(0);
  expect(stdout).toContain('H100');
});

test('--device auto without the npm package is the CPU, without a word', async () => {
  vi.stubEnv('GPT_WEBGPU', missing);
  writeFileSync(join(folder, 'corpus.txt'), 'the whale, the whale, the whale. '.repeat(20));
  const train =
    'train corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 2 -o auto --device';
  const { code, stdout, stderr } = await runInProcess([...train.split(' '), 'auto'], folder);
  expect(code, stderr).toBe(0);
  expect(stdout + stderr).not.toMatch(/gpu/i);
  const sampled = await runInProcess(
    'sample -m auto --prompt the --max-tokens 2 --device auto'.split(' '),
    folder,
  );
  expect(sampled.code, sampled.stderr).toBe(0);
  expect(sampled.stderr).not.toMatch(/gpu/i);
});

test('--verbose says why auto is the CPU', async () => {
  vi.stubEnv('GPT_WEBGPU', missing);
  const why = /^the GPU is not used: GPUs need the npm package 'webgpu' .* not installed in /m;
  writeFileSync(join(folder, 'corpus.txt'), 'the whale, the whale, the whale. '.repeat(20));
  const train =
    'train corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 2 -o why --device auto --verbose';
  expect((await runInProcess(train.split(' '), folder)).stderr).toMatch(why);
  const plan = 'plan corpus.txt --preset nano --max-iters 2 --device auto --verbose';
  expect((await runInProcess(plan.split(' '), folder)).stderr).toMatch(why);
  const sample = 'sample -m why --prompt the --max-tokens 2 --device auto --verbose';
  expect((await runInProcess(sample.split(' '), folder)).stderr).toMatch(why);
});

describe('a run that was trained on a GPU', () => {
  const train = 'train corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 2 -o gpu-run';
  const resume = 'train --resume gpu-run --max-iters';

  test('is resumed on it, or not without being told to', async () => {
    vi.stubEnv('GPT_WEBGPU', missing);
    writeFileSync(join(folder, 'corpus.txt'), 'the whale, the whale, the whale. '.repeat(20));
    const trained = await runInProcess(train.split(' '), folder);
    expect(trained.code, trained.stderr).toBe(0);
    expect((await runInProcess(`${resume} 3`.split(' '), folder)).code).toBe(0);
    const path = join(folder, 'gpu-run', 'checkpoint-3', 'gpt_trainer_state.json');
    writeFileSync(path, trainerStateText({ ...readTrainerState(path), engine: 'webgpu acme' }));
    const cpu = 'to resume it on the CPU, use --device cpu; for the GPU: npm install webgpu';
    for (const flags of ['', ' --device auto'])
      await expectRefusal(
        `${resume} 4${flags}`.split(' '),
        [1, 'engine-unavailable', 'this run used a GPU so far', cpu],
        folder,
      );
    const moved = await runInProcess(`${resume} 4 --device cpu`.split(' '), folder);
    expect(moved.code, moved.stderr).toBe(0);
    expect(moved.stderr).toContain('warning: this run used webgpu acme so far');
  });
});

test('what was typed for the CPU is said to have no effect on a GPU', async () => {
  vi.stubEnv('GPT_WEBGPU', missing);
  vi.stubEnv('GPT_THREADS', '1');
  const bench = 'bench nano --device webgpu --seconds 0.1';
  const { stderr } = await runInProcess(`${bench} --threads 1 --blas off`.split(' '), folder);
  expect(stderr).toContain('warning: --threads has no effect on a GPU');
  expect(stderr).toContain('warning: --blas has no effect on a GPU');
  expect((await runInProcess(bench.split(' '), folder)).stderr).not.toContain('warning');
});

test('GPT_DEVICE=auto leaves gpt bench its device', async () => {
  vi.stubEnv('GPT_WEBGPU', missing);
  vi.stubEnv('GPT_DEVICE', 'auto');
  for (const flags of [[], ['--device', 'cpu']]) {
    const { code, stdout, stderr } = await runInProcess(
      ['bench', 'nano', '--seconds', '0.1', '--json', ...flags],
      folder,
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toHaveLength(1);
  }
  await expectRefusal(
    ['bench', '--device', 'auto'],
    [2, 'bad-option-value', 'auto', 'cpu', 'webgpu'],
    folder,
  );
  vi.stubEnv('GPT_DEVICE', 'tpu');
  await expectRefusal(['bench', '--device', 'cpu'], [2, 'bad-option-value', 'GPT_DEVICE', 'tpu'], folder);
});

describe('--matmul-precision float16', () => {
  const train = 'train corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 2';
  const half = '--matmul-precision float16';

  test('on the CPU is refused with the device that has it', async () => {
    writeFileSync(join(folder, 'corpus.txt'), 'the whale, the whale, the whale. '.repeat(20));
    for (const command of [
      `${train} -o refused`,
      `${train} -o refused --device cpu`,
      'bench nano --seconds 0.1',
    ])
      await expectRefusal(
        `${command} ${half}`.split(' '),
        [2, 'conflicting-options', half, 'a GPU', '--device webgpu', '--matmul-precision float32'],
        folder,
      );
    expect(existsSync(join(folder, 'refused'))).toBe(false);
    await expectRefusal(
      `${train} --matmul-precision bfloat16`.split(' '),
      [2, 'bad-option-value', 'bfloat16', 'float32', 'float16'],
      folder,
    );
  });

  test.each(['', ' --device h100'])('is what gpt plan%s forecasts, in float32 on the CPU', async (flags) => {
    const { code, stdout, stderr } = await runInProcess(
      `plan --preset nano --max-iters 10 ${half}${flags}`.split(' '),
      folder,
    );
    expect(code, stderr).toBe(0);
    expect(stdout + stderr).toContain('--matmul-precision is for GPUs: the CPU is measured in float32');
  });

  test('with --device auto is not refused, and the CPU has the bits of float32', async () => {
    vi.stubEnv('GPT_WEBGPU', missing);
    writeFileSync(join(folder, 'corpus.txt'), 'the whale, the whale, the whale. '.repeat(20));
    for (const flags of [`-o left --device auto ${half}`, '-o single --matmul-precision float32']) {
      const { code, stderr } = await runInProcess(`${train} ${flags}`.split(' '), folder);
      expect(code, stderr).toBe(0);
    }
    const weights = (run: string): Buffer => readFileSync(join(folder, run, 'model.safetensors'));
    expect(weights('left').equals(weights('single'))).toBe(true);
    const planned = await runInProcess(['plan', '--config', join(folder, 'left')], folder);
    expect(planned.code, planned.stderr).toBe(0);
  });

  test('is part of a run that --config repeats, on a GPU only', async () => {
    vi.stubEnv('GPT_WEBGPU', missing);
    const again = `train ${join(folder, 'corpus.txt')} --config left -o again`;
    await expectRefusal(again.split(' '), [2, 'conflicting-options', half], folder);
    const { code, stderr } = await runInProcess(`${again} --matmul-precision float32`.split(' '), folder);
    expect(code, stderr).toBe(0);
    // A run that is resumed only continues, wherever that is.
    const resumed = await runInProcess('train --resume left --max-iters 4'.split(' '), folder);
    expect(resumed.code, resumed.stderr).toBe(0);
  });
});
