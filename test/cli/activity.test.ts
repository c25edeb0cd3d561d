/** What takes over a second names itself on a terminal, is gone afterwards, and leaves a pipe alone. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { LOGGED_AFTER, startActivity } from '../../src/cli/activity.ts';
import { setForScript, setVerbosity } from '../../src/cli/terminal.ts';
import { whaleText } from '../fixtures/whale-text.ts';
import { hasTerminal, run } from './run.ts';

describe('the line', () => {
  const { stderr } = process;
  const { isTTY, columns } = stderr;
  let written = '';
  let now = 0;
  const shown = (): string => {
    const text = written;
    written = '';
    return text;
  };

  beforeEach(() => {
    written = '';
    Object.assign(stderr, { isTTY: true, columns: 80 });
    for (const name of ['CI', 'NO_COLOR', 'TERM']) vi.stubEnv(name, undefined);
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    vi.spyOn(stderr, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    Object.assign(stderr, { isTTY, columns });
    setVerbosity('normal');
    setForScript(false);
  });

  test('shows the progress of work that takes longer than a moment, at most eight times a second', () => {
    const activity = startActivity();
    activity.report('tokenizing', 0.01);
    now += 250;
    activity.report('tokenizing', 0.1);
    expect(shown()).toBe('');
    now += 50;
    activity.report('tokenizing', 0.149);
    expect(shown()).toBe('\rtokenizing … 14%\u001b[K');
    now += 100;
    activity.report('tokenizing', 0.2);
    expect(shown()).toBe('');
    now += 700;
    activity.report('tokenizing', 0.25);
    expect(shown()).toBe('\rtokenizing … 25%, 4s left\u001b[K');
    activity.report('measuring', 0); // other work, at once
    expect(shown()).toBe('\rmeasuring … 0%\u001b[K');
    activity.stop();
    expect(shown()).toBe('\u001b[1G\u001b[2K');
    now += 1000;
    activity.report('measuring', 1);
    activity.stop();
    expect(shown()).toBe('');
  });

  test('is not drawn for short work', () => {
    const activity = startActivity();
    activity.report('tokenizing', 1);
    activity.stop();
    expect(shown()).toBe('');
  });

  test('is not shown for nested work, which leaves the outer line alone', () => {
    const outer = startActivity('written');
    const inner = startActivity('loading');
    inner.stop();
    expect(shown()).toBe('\rwritten …\u001b[K');
    outer.stop();
    expect(shown()).toBe('\u001b[1G\u001b[2K');
  });

  test('never wraps: the time left is dropped first, then the share', () => {
    const activity = startActivity('measuring');
    activity.report('tokenizing', 0);
    shown();
    const at = (width: number): string => {
      Object.assign(stderr, { columns: width });
      now += 1000;
      activity.report('tokenizing', 0.5);
      return shown().replace('\r', '').replace('\u001b[K', '');
    };
    expect([28, 25, 18, 10].map(at)).toEqual([
      'tokenizing … 50%, 1s left',
      'tokenizing … 50%',
      'tokenizing …',
      '',
    ]);
    activity.stop();
  });

  test.each([
    ['--quiet', () => setVerbosity('quiet')],
    ['--json', () => setForScript(true)],
    ['a pipe', () => Object.assign(stderr, { isTTY: false })],
  ])('is not shown with %s', (_name, ask) => {
    ask();
    const activity = startActivity('measuring');
    now += 1000;
    activity.report('tokenizing', 0.5);
    activity.update('measuring');
    activity.stop();
    expect(shown()).toBe('');
  });

  test('in a pipe, long work is named once, in a line that stays', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    Object.assign(stderr, { isTTY: false });
    const pass = (milliseconds: number): void => {
      now += milliseconds;
      vi.advanceTimersByTime(milliseconds);
    };
    const activity = startActivity('training baby');
    pass(LOGGED_AFTER - 1);
    expect(shown()).toBe('');
    pass(1);
    expect(shown()).toBe('training baby …\n');
    pass(10 * LOGGED_AFTER);
    activity.update('sampling from baby');
    pass(LOGGED_AFTER - 1);
    activity.report('reading', 0);
    now += LOGGED_AFTER; // work that blocks the event loop
    activity.report('reading', 0.5);
    activity.report('reading', 0.6);
    expect(shown()).toBe('reading …\n');
    activity.update('sampling from baby');
    activity.stop();
    pass(LOGGED_AFTER);
    expect(shown()).toBe('');
    for (const ask of [() => setVerbosity('quiet'), () => setForScript(true)]) {
      ask();
      startActivity('training baby');
      pass(LOGGED_AFTER);
      expect(shown()).toBe('');
    }
    vi.useRealTimers();
  });
});

const folder = mkdtempSync(join(tmpdir(), 'activity-'));
const gpt = (line: string, tty = true) => run(line.split(' '), { cwd: folder, tty });
const tiny = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --sample-tokens 0';

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), whaleText(200));
  await gpt(`train corpus.txt ${tiny} --max-iters 5 -q -o run`, false);
});

describe.runIf(hasTerminal)('on a terminal', () => {
  test.each([
    ['train', `train corpus.txt ${tiny} --minutes 0.01 --overwrite -o timed`, ['measuring this computer …']],
    ['plan', 'plan --preset nano', ['measuring this computer …']],
    [
      'report',
      'report run',
      [
        'loading the model … 1%',
        'reading the weights … 1%',
        'measuring the weights … 0%',
        'running the model …',
        'mapping the embeddings …',
      ],
    ],
    ['compare', 'compare run run', ['reading run, 1 of 2 …', 'reading run, 2 of 2 …']],
    ['inspect', 'inspect run', ['reading the weights …']],
    ['eval --baselines', 'eval corpus.txt -m run --baselines', ['measuring the baselines …']],
    [
      'eval --memorization',
      'eval --memorization -m run --num-samples 1 --max-tokens 20',
      ['looking for copies in the training text …'],
    ],
  ])('%s', async (_name, line, activities) => {
    const { stdout, code } = await gpt(line);
    expect(code).toBe(0);
    for (const activity of activities) expect(stdout).toContain(activity);
    // Erased: the cursor goes to the first column, and the line is cleared.
    const after = stdout.slice(stdout.lastIndexOf(` …`));
    expect(after).toContain('\u001b[2K');
  });
});

test('no status line is written to a pipe', async () => {
  expect(await gpt('compare run run', false)).toMatchObject({ stderr: '', code: 0 });
});
