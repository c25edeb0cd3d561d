import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';

const bench = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...env } });

/** Modules of benchmarks, which are not run. */
const PARTS = ['common.js', 'failure.js', 'own-node.js', 'runs.js'];
const scripts = globSync('bench/*.js').filter((file) => !PARTS.includes(basename(file)));

test.each(scripts)('%s runs on the Node that came with gpt, and ends without a stack', (file) => {
  expect(readFileSync(file, 'utf8')).toMatch(/from '.\/common.js'/); // which imports own-node.js
});

test.each(['gpu', 'training', 'minutes'])(
  'bench/%s.js refuses an unknown option with exit code 2',
  (name) => {
    const { status, stderr } = bench([`bench/${name}.js`, '--nope']);
    expect(status, stderr).toBe(2);
    expect(stderr).toMatch(/^error: Unknown option '--nope'.*\n$/);
  },
);

test('bench/gpu.js without a GPU says what is missing', () => {
  const { status, stderr } = bench(['bench/gpu.js'], { GPT_WEBGPU: '/nowhere' });
  expect(status, stderr).toBe(1);
  expect(stderr).toMatch(/^error: GPUs need the npm package 'webgpu' .*\nhint: npm install webgpu.*\n$/);
});

test('an error in a benchmark itself keeps its stack', () => {
  const fail = "import('./bench/failure.js').then(({ fail }) => fail(new TypeError('a bug')))";
  const { status, stderr } = bench(['-e', fail]);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^TypeError: a bug\n +at /);
});
