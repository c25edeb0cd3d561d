import { existsSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { hasTerminal, run, shell, throwawayProgram, type RunOptions } from './run.ts';

const help = (tty: boolean) => run(['train', '--help'], { script: throwawayProgram, tty });
const say = (args: string[] = [], options: RunOptions = {}) =>
  run([...args, 'say'], { script: throwawayProgram, ...options });

describe('streams', () => {
  it('carry results on stdout and everything else on stderr', async () => {
    const { stdout, stderr } = await say();
    expect(stdout).toBe('a result\n');
    expect(stderr).toBe('a notice\nwarning: a warning\n');
  });

  it('carry less with --quiet, more with --verbose, given before or after the command', async () => {
    expect((await say(['--quiet'])).stderr).toBe('warning: a warning\n');
    expect((await say(['--verbose'])).stderr).toBe('a notice\na detail\nwarning: a warning\n');
    expect((await shell('throwaway say --quiet')).stderr).toBe('warning: a warning\n');
  });
});

describe.runIf(hasTerminal)('messages on a terminal', () => {
  it('are wrapped at words; what starts with two spaces is not', async () => {
    const { stdout } = await run(['say', '--long'], { script: throwawayProgram, tty: true });
    const lines = stripVTControlCharacters(stdout).replaceAll('\r', '').split('\n');
    expect(lines.slice(0, 5)).toEqual([
      'a notice that is longer than the eighty columns of the terminal, and continues',
      '  on another line',
      'warning: a warning that is longer than the eighty columns of the terminal, and',
      '  continues on another line',
      '  a command that is longer than the eighty columns of the terminal, and is copied whole',
    ]);
  });
  it('stay on one line in a pipe', async () => {
    const { stderr } = await run(['say', '--long'], { script: throwawayProgram });
    expect(stderr.split('\n')).toHaveLength(4);
  });
});

describe('colors', () => {
  const colored = '\u001b[33mwarning:\u001b[39m a warning';
  const shown = async (args: string[], options: RunOptions) => {
    const { stdout, stderr } = await say(args, options);
    return (stdout + stderr).includes(colored);
  };

  it('stay out of pipes unless FORCE_COLOR asks for them', async () => {
    expect(await shown([], {})).toBe(false);
    expect(await shown([], { env: { FORCE_COLOR: '1' } })).toBe(true);
    expect(await shown(['--no-color'], { env: { FORCE_COLOR: '1' } })).toBe(false);
  });

  it.runIf(hasTerminal)('are shown on a terminal that has them to a user who wants them', async () => {
    expect(await shown([], { tty: true })).toBe(true);
    expect(await shown(['--no-color'], { tty: true })).toBe(false);
    expect(await shown([], { tty: true, env: { NO_COLOR: '1' } })).toBe(false);
    expect(await shown([], { tty: true, env: { NO_COLOR: '' } })).toBe(true);
    expect(await shown([], { tty: true, env: { TERM: 'dumb' } })).toBe(false);
    expect(await shown([], { tty: true, env: { NO_COLOR: '1', FORCE_COLOR: '1' } })).toBe(true);
    expect(await shown([], { tty: true, env: { FORCE_COLOR: '0' } })).toBe(false);
  });

  it.runIf(hasTerminal)('appear in the help on a terminal only', async () => {
    expect((await help(true)).stdout).toContain('\u001b[1mModel:\u001b[22m');
    expect((await help(true)).stdout).toContain('\u001b[2m# From a pipe\u001b[22m');
    expect((await help(false)).stdout).not.toContain('\u001b');
  });
});

describe.skipIf(process.platform === 'win32')('a closed stdout', () => {
  it('ends the program quietly', async () => {
    const { stdout, stderr } = await shell('throwaway flood 1000000 | head -1; echo ${PIPESTATUS[@]}');
    expect(stdout).toBe('line 0\n0 0\n');
    expect(stderr).toBe('');
  });

  it('does not end work that only reports on stderr', async () => {
    const { stdout } = await shell(
      'exec 3>&1; { throwaway work --steps 30 2>&1 >/dev/null; echo "code $?" >&3; } | head -1',
    );
    expect(stdout).toBe('step 10: validation loss 0.500\ncode 0\n');
  });
});

describe.skipIf(!existsSync('/dev/full'))('a full disk under stdout', () => {
  it.each(['throwaway say --quiet', 'throwaway flood 100000', 'throwaway --help', 'gpt --version'])(
    'is an error: %s',
    async (line) => {
      const { stderr, code } = await shell(`${line} > /dev/full`);
      expect(stderr).toMatch(/^(warning: a warning\n)?error: standard output: .*no space.*\n$/);
      expect(code).toBe(1);
    },
  );
});
