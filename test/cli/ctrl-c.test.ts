/** Ctrl-C while a command computes: each of them ends, by the signal, and leaves the terminal as it was. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { whaleText } from '../fixtures/whale-text.ts';
import { hasTerminal, run } from './run.ts';

const cwd = mkdtempSync(join(tmpdir(), 'ctrl-c-'));
const shape = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4';

beforeAll(async () => {
  const text = whaleText(400);
  writeFileSync(join(cwd, 'small.txt'), text);
  writeFileSync(join(cwd, 'large.txt'), text.repeat(200));
  writeFileSync(join(cwd, 'huge.txt'), text.repeat(10_000)); // 45 MB
  const { code, stderr } = await run(`train small.txt -q -o model --max-iters 2 ${shape}`.split(' '), {
    cwd,
  });
  expect(code, stderr).toBe(0);
  if (process.platform !== 'win32') execFileSync('mkfifo', [join(cwd, 'fifo')]);
}, 60_000);

/** What is running, and the output that says it has begun. Each would take minutes to centuries. */
const train = `train small.txt --threads 1 ${shape}`;
const endless: readonly (readonly [command: string, begun: string])[] = [
  [`${train} --max-iters 9 --gradient-accumulation-steps 100000000 -o accumulating`, 'folder'],
  [`${train} --max-iters 9 --eval-interval 1 --sample-tokens 1000000000 -o sampling`, 'step 1 '],
  [
    `train large.txt --threads 1 ${shape} --max-iters 9 --eval-interval 1 --eval-iters 100000 -o evaluating`,
    'first loss',
  ],
  ['sample -m model -p the -n 1000000000', 'the'],
  ['sample -m model -p the -n 1000000000 --json --verbose', 'model '],
  ['sample -m model -p the -n 1000000000 --beams 4 --verbose', 'model '],
  ['eval large.txt -m model --stride 1 --verbose', 'model '],
  ['eval -m model --memorization --num-samples 9007199254740991 --verbose', 'model '],
  ['bench nano --seconds 600 --threads 1', 'params'],
  ['doctor --threads 1', 'Checking'],
  ['gradcheck --limit 1000000', 'relative error'],
];

describe.skipIf(process.platform === 'win32')('Ctrl-C ends', () => {
  test.concurrent.each(endless)('%s', { timeout: 30_000 }, async (command, begun) => {
    let sent = false;
    const { signal, stdout, stderr } = await run(command.split(' '), {
      cwd,
      onOutput(output, send) {
        if (sent || !output.includes(begun)) return;
        sent = true;
        setTimeout(send, 300, 'SIGINT');
      },
    });
    expect(signal, stdout.slice(0, 500) + stderr.slice(0, 500)).toBe('SIGINT');
  });

  // What it reads arrives faster than it is asked for, or not at all. A pipe takes less than this before it is read from.
  const text = Buffer.from(whaleText(400).repeat(200));
  test.concurrent.each([
    'train - -o from-pipe',
    'eval - -m model',
    'tokenize --encode -m model',
    'sample -m model -p -',
    'inspect model --attention -',
  ])('%s, reading a pipe', { timeout: 30_000 }, async (command) => {
    const { signal, stderr } = await run(command.split(' '), {
      cwd,
      feed: (stdin, send) => stdin.write(text, () => setTimeout(send, 200, 'SIGINT')),
    });
    expect(signal, stderr.slice(0, 500)).toBe('SIGINT');
    expect(stderr).not.toContain('from the terminal');
  });

  test.concurrent('a command that opens a pipe nobody writes to', { timeout: 30_000 }, async () => {
    const { signal, stderr } = await run(['train', 'fifo', '-o', 'from-fifo'], {
      cwd,
      feed: (_stdin, send) => setTimeout(send, 1000, 'SIGINT'),
    });
    expect(signal, stderr.slice(0, 500)).toBe('SIGINT');
  });

  test('a training within a step, keeping the checkpoint before that step', () => {
    expect(existsSync(join(cwd, 'accumulating/checkpoint-0'))).toBe(true);
    expect(existsSync(join(cwd, 'sampling/checkpoint-1'))).toBe(true);
  });
});

describe.runIf(hasTerminal)('Ctrl-C on a terminal ends', () => {
  test.concurrent.each([
    ['eval large.txt -m model --stride 1', 'evaluated'],
    ['eval -m model --memorization --num-samples 1000000', 'written'],
    [`train small.txt --max-iters 9 --gradient-accumulation-steps 100000000 ${shape} -o tty`, 'step 0'],
    ['sample -m model -p the -n 1000000000', 'the'],
    ['train huge.txt --tokenizer word -o reading', 'collecting the vocabulary … '],
    ['tokenize huge.txt --tokenizer bpe', 'tokenizing … '],
  ])('%s', { timeout: 30_000 }, async (command, begun) => {
    const { signal, stdout } = await run(command.split(' '), { cwd, tty: true, keys: [[begun, '\u0003']] });
    expect(signal, stdout.slice(-500)).toBe('SIGINT');
    // Hide the cursor, do not wrap and the like begin with these; 2026 brackets a redraw.
    expect(stdout.replaceAll('\u001b[?2026', '')).not.toContain('\u001b[?');
  });
});

describe.runIf(hasTerminal)('a command that reads from a terminal says so, and Ctrl-C ends it:', () => {
  test.concurrent.each([
    ['train - -o typed', 'Reading the text from the terminal; Ctrl-D ends the input.'],
    ['plan -', 'Reading the text from the terminal; Ctrl-D ends the input.'],
    ['eval -m model', 'Reading the text from the terminal; Ctrl-D ends the input.'],
    ['tokenize -', 'Reading the text from the terminal; Ctrl-D ends the input.'],
    ['tokenize --encode -m model', 'Reading the text from the terminal; Ctrl-D ends the input.'],
    ['tokenize --decode -m model', 'Reading the ids from the terminal; Ctrl-D ends the input.'],
    ['sample -m model -p -', 'Reading the prompt from the terminal; Ctrl-D ends the input.'],
    [
      'sample -m model --prompts -',
      'Reading prompts, one per line, from the terminal; Ctrl-D ends the input.',
    ],
    ['inspect model --logits -', 'Reading the text from the terminal; Ctrl-D ends the input.'],
  ])('%s', { timeout: 30_000 }, async (command, notice) => {
    const { signal, stdout } = await run(command.split(' '), { cwd, tty: true, keys: [[notice, '\u0003']] });
    expect(signal, stdout).toBe('SIGINT');
  });
});
