import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { countHead, renderLine } from '../../src/cli/progress-bar.ts';
import { hasTerminal, run, throwawayProgram } from './run.ts';

const params = (value: number, total: number, eta = 187) => ({
  value,
  total,
  eta,
  progress: value / total,
  startTime: Date.now() - 8400,
  stopTime: null,
  maxWidth: 0,
});
const fields = ['loss 1.832', '45,210 tok/s'];
const line = (width: number, at = params(1234, 5000)) =>
  stripVTControlCharacters(renderLine(countHead('step', at.value, at.total), at, fields, width));

describe('the line', () => {
  it('shows progress, loss, speed and the time left', () => {
    expect(line(79)).toBe('step 1,234/5,000 ━━━━━──────────────  24%  loss 1.832  45,210 tok/s  ETA 3m 07s');
  });

  it('shows the total time at the end', () => {
    expect(line(79, params(5000, 5000))).toMatch(/━ 100% {2}loss 1.832 {2}45,210 tok\/s {2}in 8.4s$/);
  });

  it('has no estimate before the first step', () => {
    expect(line(79, params(0, 5000, Infinity))).toMatch(/ETA –$/);
  });

  it('drops the bar first, then fields from the right, and never wraps', () => {
    expect(line(200)).toContain(` ${'━'.repeat(10)}${'─'.repeat(30)} `);
    expect(line(60)).toBe('step 1,234/5,000 ━━━───────────  24%  loss 1.832  ETA 3m 07s');
    expect(line(30)).toBe('step 1,234/5,000  24%');
    for (let width = 0; width < 120; width++) expect(line(width).length).toBeLessThanOrEqual(width);
  });
});

it.runIf(hasTerminal)('shows a share as a percentage only', async () => {
  const { stdout } = await run(['work', '--share'], { script: throwawayProgram, tty: true });
  expect(stripVTControlCharacters(stdout)).toMatch(/evaluated ━+ 100% {2}in/);
});

describe('where stderr is no terminal', () => {
  it('there are only lines, without a bar', async () => {
    const { stderr } = await run(['work', '--steps', '20'], { script: throwawayProgram });
    expect(stderr).toBe('step 10: validation loss 0.500\nstep 20: validation loss 0.250\nsaved\n');
  });
});

const workOnTerminal = (...args: string[]) =>
  run(['work', '--steps', '20', ...args], { script: throwawayProgram, tty: true });

describe.runIf(hasTerminal)('on a terminal', () => {
  it('prints lines above the bar and leaves the finished bar', async () => {
    const rows = display((await workOnTerminal()).stdout);
    expect(rows).toEqual([
      'step 10: validation loss 0.500',
      'step 20: validation loss 0.250',
      expect.stringMatching(/^step 20\/20 ━+ 100% {2}loss 0\.250 {2}45,210 tok\/s {2}in \S+$/),
      'saved',
      '',
    ]);
  });

  it('puts an error below the bar', async () => {
    const { stdout, code } = await workOnTerminal('--fail-at', '15');
    const rows = display(stdout);
    expect(rows.slice(1)).toEqual([
      expect.stringMatching(/^step 14\/20 ━+─+ {2}70% /),
      'error: the loss is not a number any more',
      '',
    ]);
    expect(code).toBe(1);
  });

  it('shows neither bar nor lines with --quiet', async () => {
    expect((await workOnTerminal('--quiet')).stdout).toBe('');
  });

  it('shows lines only where the line cannot be redrawn', async () => {
    const { stdout } = await run(['work'], { script: throwawayProgram, tty: true, env: { TERM: 'dumb' } });
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('━');
  });
});

/** The rows a terminal shows after `output`, for the few things the bar does: to column 1, clear from here, colors. */
function display(output: string): string[] {
  const rows = [''];
  let column = 0;
  // oxlint-disable-next-line no-control-regex -- these are what is to be understood
  for (const [token] of output.matchAll(/\u001b\[[\d;]*[A-Za-z]|[^]/gu)) {
    const row = rows.at(-1) ?? '';
    if (token === '\n') {
      rows.push('');
      column = 0;
    } else if (token === '\r' || token === '\u001b[1G') column = 0;
    else if (token === '\u001b[0J') rows[rows.length - 1] = row.slice(0, column);
    else if (token.startsWith('\u001b')) expect(token).toMatch(/m$/);
    else {
      rows[rows.length - 1] = row.slice(0, column) + token + row.slice(column + 1);
      column++;
    }
  }
  return rows;
}
