/** `gpt train --json=events`. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal, runInProcess } from '../in-process.ts';
import { run } from '../run.ts';
import { readPage } from '../../docs/pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'event-stream-'));
beforeAll(() => writeFileSync(join(folder, 'corpus.txt'), 'The whale, the sea, the ship.\n'.repeat(100)));

const TINY =
  '--n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --batch-size 4 --eval-interval 3 --eval-iters 1';
type Event = Readonly<Record<string, unknown>>;
const eventsIn = (stdout: string): Event[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
const train = (line: string) => runInProcess(`train ${line}`.split(' '), folder);

describe('a run', () => {
  let events: Event[];
  let metrics: Event[];
  beforeAll(async () => {
    const { stdout, stderr, code } = await train(
      `--json=events corpus.txt ${TINY} --max-iters 6 --sample-tokens 5 --ema-decay 0.5 -q -o run`,
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    events = eventsIn(stdout);
    metrics = eventsIn(readFileSync(join(folder, 'run/metrics.jsonl'), 'utf8'));
  });
  const named = (name: string): Event[] => events.filter(({ event }) => event === name);

  test('prints its events in the order in which they happen, and nothing else', () => {
    const interval = ['step', 'step', 'step', 'eval', 'sample', 'checkpoint'];
    expect(events.map(({ event }) => event)).toEqual(['start', ...interval, ...interval, 'end']);
    const times = events.map(({ time }) => Date.parse(String(time)));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test('tells of steps and evaluations what metrics.jsonl does', () => {
    const fields = ['step', 'loss', 'lr', 'grad_norm', 'tokens_seen'];
    const pick = (entry: Event, names: readonly string[]) => names.map((name) => entry[name]);
    expect(named('step').map((event) => pick(event, fields))).toEqual(
      metrics.filter((entry) => 'loss' in entry).map((entry) => pick(entry, fields)),
    );
    const losses = ['step', 'train_loss_estimate', 'val_loss_estimate', 'average_val_loss_estimate'];
    expect(named('eval').map((event) => pick(event, losses))).toEqual(
      metrics.filter((entry) => 'val_loss_estimate' in entry).map((entry) => pick(entry, losses)),
    );
    expect(named('start')[0]).toMatchObject({ folder: 'run', corpus: ['corpus.txt'], max_iters: 6 });
    expect(named('end')[0]).toMatchObject({
      reason: 'finished',
      steps: 6,
      val_loss: metrics.at(-1)!['val_loss'],
    });
  });

  test('has the fields that the page lists, each in its row', () => {
    const page = readPage('docs/pipelines.md');
    for (const { event, ...fields } of events) {
      const row = page
        .split('\n')
        .find((line) => line.startsWith('| ') && line.includes(`\`${String(event)}\``));
      expect(row, String(event)).toBeDefined();
      if (event === 'end' || event === 'eval') continue; // "and more", "the losses of weights and average"
      for (const name of Object.keys(fields))
        if (name !== 'time') expect(row, String(event)).toContain(`\`${name}\``);
    }
  });
});

test('plain --json prints the result alone, and takes a text after it', async () => {
  const { stdout } = await train(`--json corpus.txt ${TINY} --max-iters 2 -q -o plain`);
  expect(eventsIn(stdout)).toMatchObject([{ folder: 'plain', reason: 'finished', steps: 2 }]);
});

test('another word is refused', async () => {
  await expectRefusal(
    ['train', 'corpus.txt', '--json=all'],
    [2, 'commander.unknownOption', '--json=all'],
    folder,
  );
});

test('a run that is interrupted says so in its last line', async () => {
  let isSent = false; // a second signal would end it at once
  const { stdout, signal } = await run(
    `train corpus.txt ${TINY} --max-iters 1000000 --eval-interval 1000000 --json=events -q -o stopped`.split(
      ' ',
    ),
    {
      cwd: folder,
      onOutput: (output, send) => {
        if (isSent || !output.includes('"step":20,')) return;
        isSent = true;
        send('SIGINT');
      },
    },
  );
  expect(signal).toBe('SIGINT');
  const events = eventsIn(stdout);
  expect(events.at(-2)).toMatchObject({ event: 'checkpoint' });
  expect(events.at(-1)).toMatchObject({ event: 'interrupted', reason: 'interrupted', folder: 'stopped' });
});

test.skipIf(process.platform === 'win32')(
  'a reader that leaves stops it; everything is saved, and the exit code tells',
  async () => {
    const line = `'${process.execPath}' '${join(import.meta.dirname, '../../../bin/gpt.js')}' train corpus.txt ${TINY} --max-iters 1000000 --json=events -q -o head | head -n 2; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await run(['-c', line], { node: 'bash', script: '--norc', cwd: folder });
    expect(stderr).toMatch(/^error: .* after \d+ steps?, .*events.*\nhint: .*gpt train --resume head\n$/);
    const lines = stdout.trim().split('\n');
    expect(lines.slice(0, 2).map((each) => (JSON.parse(each) as Event)['event'])).toEqual(['start', 'step']);
    expect(lines[2]).toBe('1');
    const steps = Number(/after (\d+)/.exec(stderr)![1]);
    const resumed = await run(`train --resume head --max-iters ${steps + 2} --force -q`.split(' '), {
      cwd: folder,
    });
    expect(resumed).toMatchObject({ code: 0, stderr: '' });
  },
);
