import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { hasTerminal, run, type RunOptions } from '../run.ts';

const folder = mkdtempSync(join(tmpdir(), 'live-'));
writeFileSync(
  join(folder, 'corpus.txt'),
  'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60),
);
const train = (flags: string, options: RunOptions = {}) =>
  run(
    `train corpus.txt --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 ${flags}`.split(' '),
    { cwd: folder, ...options },
  );

const BEGIN = '\u001b[?2026h';
const END = '\u001b[?2026l';
const CTRL_C = '\u0003';

describe.runIf(hasTerminal)('on a terminal', () => {
  it('draws curves, a sample and progress in place, and leaves the last frame', async () => {
    const { stdout, code } = await train('--max-iters 60 --overwrite -o live', { tty: true });
    expect(code).toBe(0);
    const frames = stdout.split(BEGIN).slice(1);
    const [last = '', after = ''] = frames.at(-1)!.split(END);
    expect(last).toMatch(/━━.* train \d\.\d{3}.*━━.* validation \d\.\d{3}/);
    expect(last).toMatch(/[⠀-⣿]/u);
    expect(last).toContain('sample at step 60:');
    expect(last).toMatch(/step 60\/60 .*100%/);
    expect(after).toMatch(/Done after 60 steps in \d+s\.\r\nValidation loss \d\.\d{4} nats/);
    expect(after).toContain('gpt sample -m live --prompt');
    // Every drawing is one write that starts where the one before did; between them there are whole lines only.
    for (const frame of frames.slice(0, -1)) expect(frame.endsWith(END)).toBe(true);
  });

  it('continues the curves of a run that it resumes', async () => {
    await train('--max-iters 40 --eval-interval 20 -o resumed');
    const { stdout } = await run(['train', '--resume', 'resumed', '--max-iters', '42'], {
      cwd: folder,
      tty: true,
    });
    const [chart] = stdout.split(BEGIN).at(-1)!.split(END);
    expect(stripVTControlCharacters(chart)).toMatch(/^ +2 +42\r?$/m); // the steps under the chart
    writeFileSync(join(folder, 'resumed/samples.jsonl'), '{"step":0,"text":5}\n');
    const damaged = await run(['train', '--resume', 'resumed', '--max-iters', '44'], {
      cwd: folder,
      tty: true,
    });
    expect(damaged.code).toBe(0);
  });

  it('changes no mode of the terminal that would have to be undone', async () => {
    const { stdout, signal } = await train('--max-iters 1000000 --overwrite -o live', {
      tty: true,
      keys: [['sample at step', CTRL_C]],
    });
    expect(signal).toBe('SIGINT');
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    const modes = new Set(stdout.match(/\u001b\[\?\d+[hl]/g));
    expect([...modes].sort()).toEqual([BEGIN, END]);
    expect(stdout.lastIndexOf(END)).toBeGreaterThan(stdout.lastIndexOf(BEGIN));
  });

  it.each([{ NO_COLOR: '1' }, { CI: 'true' }])('writes plain lines where %j says so', async (env) => {
    const { stdout } = await train('--max-iters 20 --overwrite -o live', { tty: true, env });
    expect(stdout).not.toContain(BEGIN);
    expect(stdout).not.toMatch(/[⠀-⣿]/u);
    expect(stdout).toMatch(/step 20\S* {2}train \d\.\d{4} {2}val \d\.\d{4}/);
  });
});
