/** What files of strangers must not be able to do: steer the terminal, reach other files, run anything, use the network. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { writeFileAtomic } from '../../src/write-file.ts';
import { modelFacts, writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { safetensorsPieces } from '../../src/checkpoint/safetensors.ts';
import { readTrainerState, trainerStateText } from '../../src/checkpoint/trainer-state.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { configOf, tensorsOf } from '../fuzz/seeds.ts';
import { runInProcess } from './in-process.ts';
import { gpt, hasTerminal, run } from './run.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';

/** For commands in the process of the test: colors are control sequences as well. */
vi.hoisted(() => {
  process.env['NO_COLOR'] = '1';
  delete process.env['FORCE_COLOR'];
});

/** Escape, bell, carriage return, the one-byte escape sequence of C1, right-to-left override, delete. */
const HOSTILE = ['\u0007', '\r', '\u001b', ' ', 'a', '\u007f', '\u009b', '\u202e'];
const STEERS = /[^\P{Cc}\n\t]|\p{Bidi_Control}/u;

const folder = mkdtempSync(join(tmpdir(), 'security-'));
const model = join(folder, 'model');
const text = `${HOSTILE.join('')}]0;owned${HOSTILE.join('')}[2J\n`.repeat(20);
/** Without colors and redrawn lines, so that every control character on the terminal would be the file's. */
const plain = { env: { NO_COLOR: '1', TERM: 'dumb' } };

beforeAll(() => {
  const tokenizer = createCharTokenizer([...HOSTILE, '<unk>']);
  const config = configOf(tokenizer);
  writeModelDescription(model, config, tokenizer);
  writeHostWeights(model, config, tensorsOf(config), modelFacts(config, tokenizer));
  writeFileSync(join(folder, 'text.txt'), text);
  writeFileSync(join(folder, 'ids.txt'), '0 1 2 3 4 5 6 7\n');
});

describe('in a pipe, text is written unchanged', () => {
  test('sample and tokenize --decode', async () => {
    const { stdout } = await run(['sample', '-m', model, '--prompt', '\u001b', '-n', '200', '--seed', '1']);
    expect(stdout).toMatch(STEERS);
    const ids = readFileSync(join(folder, 'ids.txt'), 'utf8');
    expect((await run(['tokenize', '--decode', '-m', model], { stdin: ids })).stdout).toBe(HOSTILE.join(''));
  });
});

describe.runIf(hasTerminal)('on a terminal, no control character of a file gets through', () => {
  const bash = (line: string) =>
    run(['-c', `${line} 2>&1`], { node: 'bash', script: '--norc', tty: true, cwd: folder, ...plain });
  const program = `'${process.execPath}' '${gpt}'`;
  test.each([
    [
      'the text and prompt of sample',
      `${program} sample -m model --prompt $'\\e\\u202e' -n 300 --seed 1`,
      '\\x1b\\u202e',
    ],
    [
      'the text of tokenize --decode',
      `${program} tokenize --decode -m model < ids.txt`,
      '\\x07\\x0d\\x1b a\\x7f\\x9b\\u202e',
    ],
    ['the tokens in a table', `${program} tokenize text.txt`, '\\u001b'],
    [
      'the name of a file',
      `${program} tokenize $'\\e]0;owned\\a\\n.txt'`,
      'error: \\x1b]0;owned\\x07\\n.txt: no such file or folder',
    ],
    ['a flag', `${program} sample --$'\\e[2J'`, "error: unknown option '--\\x1b[2J'"],
    [
      'a character it does not know',
      `${program} sample -m model --prompt $'\\u0090'`,
      'the model\'s vocabulary lacks "\\x90" (U+0090)',
    ],
    ['the name of a tensor', `${program} sample -m tensors`, 'has the tensor "\\u001b[2J\\x9b", which this'],
    ['a field of a config', `${program} sample -m config`, '"model_type" is "\\u001b[2J\\u202e"'],
    [
      'the sample of a training',
      `${program} train text.txt --n-layer 1 --n-head 1 --n-embd 4 --block-size 8 --batch-size 2 --max-iters 2 --sample-tokens 200 -o run`,
      'Done after 2 steps',
    ],
  ])('%s', async (_name, line, shown) => {
    const { stdout } = await bash(line);
    expect(stdout.replaceAll('\r\n', '\n')).not.toMatch(STEERS); // the terminal's own line ends
    expect(stdout).toContain(shown);
  });
  beforeAll(() => {
    const tokenizer = createCharTokenizer([...HOSTILE, '<unk>']);
    const config = configOf(tokenizer);
    const tensors = tensorsOf(config).map((tensor) => ({ ...tensor, name: `transformer.${tensor.name}` }));
    const extra = { name: '\u001b[2J\u009b', shape: [1], data: Float32Array.of(1) };
    for (const name of ['tensors', 'config']) {
      writeModelDescription(join(folder, name), config, tokenizer);
      const weights = safetensorsPieces([...tensors, extra], {});
      writeFileAtomic(join(folder, name, 'model.safetensors'), weights);
    }
    const path = join(folder, 'config/config.json');
    const json = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...json, model_type: '\u001b[2J\u202e' }));
  });
});

describe('an untrusted run', () => {
  const RUNS = ['a', 'b'];
  /** Color, title, C1, bidirectional override: what must not come through from any field. */
  const STEER = '\u001b[31m\u001b]0;owned\u0007\u009b2J\u202e\u007f';
  beforeAll(async () => {
    for (const name of RUNS) {
      const flags = '--n-layer 1 --n-head 1 --n-embd 4 --block-size 8 --batch-size 2 --max-iters 2 -q -o';
      await runInProcess(['train', 'text.txt', ...flags.split(' '), name], folder);
      const path = join(folder, name, 'checkpoint-2/gpt_trainer_state.json');
      const { format: _format, ...state } = readTrainerState(path);
      const options = {
        ...state.options,
        [`option ${STEER}`]: name,
        schedule: `${STEER}${name}`,
        corpus: [STEER],
      };
      writeFileSync(path, trainerStateText({ ...state, engine: `engine ${STEER}`, options }));
    }
  });
  test.each([
    'compare a b',
    'compare a b --json',
    'inspect a',
    'inspect a --json',
    'report a -o /dev/null',
    'train text.txt --resume a --max-iters 3',
    'eval --split val -m a',
    'train --config a -o other',
    'sample -m a -p a -n 3 --json',
  ])('gpt %s: no control character reaches a terminal, in a pipe as well', async (line) => {
    const { raw } = await runInProcess(line.split(' '), folder);
    expect(raw).not.toBe('');
    expect(raw).not.toMatch(STEERS);
  });
  test('the engine and the other kernels’ warning are shown with escapes', async () => {
    const path = join(folder, 'b/checkpoint-2/gpt_trainer_state.json');
    const { format: _format, ...state } = readTrainerState(path);
    const { [`option ${STEER}`]: _option, ...options } = state.options;
    const known = { ...options, schedule: 'cosine', corpus: ['text.txt'] };
    writeFileSync(path, trainerStateText({ ...state, options: known }));
    const { raw } = await runInProcess(['train', '--resume', 'b', '--max-iters', '3'], folder);
    expect(raw).toContain('engine \\x1b[31m\\x1b]0;owned\\x07\\x9b2J\\u202e\\x7f');
    expect(raw).not.toMatch(STEERS);
  });
  test('--json escapes control characters, and parses back to the original text', async () => {
    const { raw } = await runInProcess(
      ['inspect', model, '--logits', '\u009b\u202e\u007f', '--json'],
      folder,
    );
    expect(raw).not.toMatch(STEERS);
    const { stdout: sampled } = await runInProcess(
      ['sample', '-m', model, '--prompt', '\u009b\u202e\u007f', '-n', '50', '--json'],
      folder,
    );
    expect(sampled).toContain('\\u009b\\u202e\\u007f');
    expect(JSON.parse(sampled)).toMatchObject({ prompt: '\u009b\u202e\u007f' });
  });
});

test('a link among the logs of a run is not followed', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'linked-log-'));
  writeFileSync(join(cwd, 'text.txt'), text);
  const flags = '--n-layer 1 --n-head 1 --n-embd 4 --block-size 8 --batch-size 2 -q';
  await runInProcess(['train', 'text.txt', ...flags.split(' '), '--max-iters', '2', '-o', 'run'], cwd);
  writeFileSync(join(cwd, 'precious'), 'mine\n'.repeat(100));
  rmSync(join(cwd, 'run/metrics.jsonl'));
  symlinkSync('../precious', join(cwd, 'run/metrics.jsonl'));
  for (const line of ['train --resume run --max-iters 3', 'inspect run', 'report run'])
    expect(await runInProcess(line.split(' '), cwd)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: run\/metrics\.jsonl .*symbolic link/m) as string,
    });
  expect(readFileSync(join(cwd, 'precious'), 'utf8')).toBe('mine\n'.repeat(100));
});

/** Node's own lock: files but these cannot be read, nothing can be written, run or connected to. */
const lockedUp = (args: string[]) =>
  run(
    [
      `--allow-fs-read=${fileURLToPath(new URL('../../', import.meta.url))}`,
      `--allow-fs-read=${folder}`,
      gpt,
      ...args,
    ],
    { script: '--permission', cwd: folder },
  );
const major = Number(process.versions.node.split('.')[0]);

describe.runIf(major >= 25)("under Node's permission model, a model needs nothing but its folder", () => {
  beforeAll(() => {
    // Names of files elsewhere, wherever Hugging Face's tools write some.
    for (const file of ['config.json', 'tokenizer_config.json', 'generation_config.json']) {
      const path = join(model, file);
      const json = JSON.parse(readFileSync(path, 'utf8')) as object;
      const elsewhere = {
        _name_or_path: '/etc/passwd',
        tokenizer_file: '../../secret',
        auto_map: { AutoModel: 'evil--x.py' },
      };
      writeFileSync(path, JSON.stringify({ ...json, ...elsewhere }));
    }
    writeFileSync(join(model, 'evil.py'), '');
  });
  test('to sample, evaluate and tokenize', async () => {
    const sampled = await lockedUp(['sample', '-m', model, '--prompt', 'a', '-n', '20', '--threads', '1']);
    expect(sampled).toMatchObject({ code: 0, stderr: '' });
    const judged = await lockedUp(['eval', 'text.txt', '-m', model, '--json', '--threads', '1']);
    expect(judged).toMatchObject({ code: 0, stderr: '' });
    expect(await lockedUp(['tokenize', 'text.txt', '-m', model, '--json'])).toMatchObject({
      code: 0,
      stderr: '',
    });
  });
  test('a file outside is out of reach', async () => {
    const { code, stderr } = await lockedUp(['tokenize', '/etc/hostname']);
    expect(code).toBe(1);
    expect(stderr).toContain('Access to this API has been restricted');
  });
});

test('no source reaches for the network, runs text as code, or starts a process that SECURITY.md does not name', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const sources = ['src', 'bin'].flatMap((name) =>
    readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((file) => join(name, file)),
  );
  const found = sources
    .filter((file) => /\.[jt]s$/.test(file))
    .flatMap((file) => {
      const uses = readFileSync(join(root, file), 'utf8').match(
        /['"](node:)?(net|https?|http2|tls|dgram|dns|vm|child_process|inspector|repl)(\/\w+)?['"]|\beval\(|new Function|\bfetch\(|WebSocket|EventSource/g,
      );
      return uses === null ? [] : [`${file.replaceAll('\\', '/')}: ${uses.join(' ')}`];
    });
  expect(found.toSorted()).toEqual([
    "bin/gpt.js: 'child_process'",
    "src/checkpoint/lock.ts: 'node:child_process'",
    "src/evaluate/baselines/compressors.ts: 'node:child_process'",
    'src/web/choose-texts.ts: fetch(', // the example, which is served with the page
    'src/web/isolation.ts: fetch(', // what the page asks for itself
  ]);
});

test('every package is pinned by hash, and none that runs with us has an install script', () => {
  const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Record<string, { integrity?: string; dev?: true; hasInstallScript?: true }>;
  };
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
  expect(packages.length).toBeGreaterThan(10);
  expect(packages.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
  expect(packages.filter(([, each]) => each.hasInstallScript && !each.dev)).toEqual([]);
});
