import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';

const bench = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...env } });

/** Modules of benchmarks, which are not run. */
const PARTS = ['common.js', 'failure.js', 'machine.js', 'own-node.js', 'runs.js'];
const scripts = globSync('bench/*.js').filter((file) => !PARTS.includes(basename(file)));

// step-variants.js, which is not run by itself, is among them.
test.each(scripts)('%s imports common.js, which chooses its Node and ends it without a stack', (file) => {
  expect(readFileSync(file, 'utf8')).toMatch(/from '\.\/(common|step-variants)\.js'/);
});

test.each([
  ['18.20.1', process.execPath, process.execPath],
  ['22.12.0', process.execPath, process.execPath],
  ['22.12.0', '/nowhere/node', 'undefined'],
  ['24.0.0', process.execPath, 'undefined'],
  ['26.9.1', process.execPath, 'undefined'],
])('on Node %s, a benchmark runs on the bundled %s: %s', (version, bundled, expected) => {
  const print = `({ otherNode }) => console.log(String(otherNode(${JSON.stringify(version)}, ${JSON.stringify(bundled)})))`;
  const { stdout, stderr } = bench(['-e', `import('./bench/own-node.js').then(${print})`]);
  expect(stdout, stderr).toBe(`${expected}\n`);
});

test.each(['gpu', 'training', 'minutes'])(
  'bench/%s.js refuses an unknown option with exit code 2',
  (name) => {
    const { status, stderr } = bench([`bench/${name}.js`, '--nope']);
    expect(status, stderr).toBe(2);
    expect(stderr).toMatch(/^error: Unknown option '--nope'.*\n$/);
  },
);

test('--help prints the comment at the top of a benchmark, with its usage', () => {
  const { status, stdout, stderr } = bench(['bench/sweep.js', '--help']);
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^Bits per byte of .*node bench\/sweep\.js TEXT/s);
  expect(stdout).not.toMatch(/^ \*|\*\//m);
});

test('a benchmark says which text is missing', () => {
  const { status, stderr } = bench(['bench/sweep.js', 'nowhere.txt']);
  expect(stderr).toBe('error: nowhere.txt: no such file or folder\n');
  expect(status).toBe(1);
});

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
