import { describe, expect, it } from 'vitest';
import { run, throwawayProgram } from './run.ts';

const throwaway = (...args: string[]) => run(args, { script: throwawayProgram });

describe('help', () => {
  it('lists flags and commands, within 80 columns', async () => {
    const { stdout, stderr, code } = await throwaway('--help');
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain('Usage: gpt <command> [options]\n');
    expect(stdout).toContain('  train          Train a model on a text file\n');
    expect(stdout).toContain('  -q, --quiet    print only results, warnings and errors\n');
    expect(stdout).not.toMatch(/.{81}/);
  });

  it('goes to stderr, with exit code 2, if a command is missing', async () => {
    const { stdout, stderr, code } = await throwaway();
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: gpt <command> [options]\n');
  });

  it('of a command groups its flags and ends with examples', async () => {
    const { stdout, code } = await throwaway('train', '--help');
    expect(code).toBe(0);
    expect(stdout).toBe(`Usage: gpt train [options] <corpus>

Train a model on a text file

Arguments:
  corpus                  text to train on; - reads standard input

Model:
  --n-layer <n>           transformer blocks (default: 6)
  --dropout <p>           share of activations left out while training (default:
                          0.1)
  --tokenizer <kind>      char, word or bpe (default: bpe)

Optimisation:
  --learning-rate <rate>  the largest step of the schedule
  --a-flag-with-a-long-name <value>
                          a description that is so long that it has to be
                          continued on another line, in its column

Global options:
  -q, --quiet             print only results, warnings and errors
  --verbose               print more details
  --no-color              plain text; NO_COLOR in the environment does the same
  --debug                 print the stack of an error
  --config <file>         read options from a JSON file or a run
  -h, --help              print this help

Examples:
  # A small model with the defaults
  gpt train corpus.txt

  # From a pipe
  cat *.txt | gpt train -
`);
  });

  it('is also a command', async () => {
    expect(await throwaway('help')).toEqual(await throwaway('--help'));
    expect(await throwaway('help', 'train')).toEqual(await throwaway('train', '--help'));
    expect((await throwaway('help', 'trian')).stderr).toContain("unknown command 'trian'");
  });
});

describe('wrong usage', () => {
  it.each([
    [['trian'], "unknown command 'trian'", 'did you mean train? Or see gpt --help'],
    [['--bogus'], "unknown option '--bogus'", 'see gpt --help'],
    [
      ['train', 'a', '--n-laye', '3'],
      "unknown option '--n-laye'",
      'did you mean --n-layer? Or see gpt train --help',
    ],
    [
      ['train', 'a', '--n-layer', 'abc'],
      '--n-layer: "abc" is not a whole number of at least 1',
      'see gpt train --help',
    ],
    [['train', 'a', '--n-layer'], "option '--n-layer <n>' argument missing", 'see gpt train --help'],
    [['train'], "missing required argument 'corpus'", 'see gpt train --help'],
    [
      ['train', 'a', '-q', '--verbose'],
      "option '-q, --quiet' cannot be used with option '--verbose'",
      'see gpt train --help',
    ],
    [['train', 'a', '--\u001b[31m'], "unknown option '--\\x1b[31m'", 'see gpt train --help'],
  ])('%j', async (args, message, hint) => {
    const { stdout, stderr, code } = await throwaway(...args);
    expect(stderr).toBe(`error: ${message}\nhint: ${hint}\n`);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

describe('failures', () => {
  it.each([
    ['user', 'error: the file \\x1b[31mred\\x1b[0m is broken\nhint: mend it\n'],
    ['system', 'error: /no/such/file: no such file or folder\n'],
    [
      'bug',
      'error: internal error: TypeError: undefined is not a function\nhint: this is a bug; the same command with --debug shows where\n',
    ],
    [
      'later',
      'error: internal error: RangeError: too late\nhint: this is a bug; the same command with --debug shows where\n',
    ],
    [
      'rejection',
      'error: internal error: Error: nobody waited\nhint: this is a bug; the same command with --debug shows where\n',
    ],
  ])('%s: a message without a stack, exit code 1', async (way, message) => {
    const { stderr, code } = await throwaway('fail', way);
    expect(stderr).toBe(message);
    expect(code).toBe(1);
  });

  it('show their stack and, for errors a user can act on, their code with --debug', async () => {
    const { stderr: user } = await throwaway('fail', 'user', '--debug');
    expect(user).toMatch(/ at .*throwaway-program\.js:\d+/);
    expect(user).toContain("code: 'check-failed'");
    const { stderr } = await throwaway('fail', 'bug', '--debug');
    expect(stderr).toContain('error: internal error: TypeError: undefined is not a function\n');
    expect(stderr).toMatch(/ at .*throwaway-program\.js:\d+/);
  });

  it('do not truncate what was already written to a pipe', async () => {
    const { stdout, stderr, code } = await throwaway('fail', 'after-output');
    expect(stdout).toHaveLength(5_000_000);
    expect(stderr).toBe('error: failed after much output\n');
    expect(code).toBe(1);
  });
});

describe('a command in a command', () => {
  it('parses, helps and fails like any other command', async () => {
    expect(await throwaway('nested', 'inner', 'word', '--quiet')).toMatchObject({
      stdout: 'word\n',
      code: 0,
    });
    expect((await throwaway('nested', 'inner', '--help')).stdout).toContain('  --debug ');
    expect((await throwaway('nested', 'inner')).stderr).toBe(
      "error: missing required argument 'word'\nhint: see gpt nested inner --help\n",
    );
    expect((await throwaway('nested', 'iner')).stderr).toBe(
      "error: unknown command 'iner'\nhint: did you mean inner? Or see gpt nested --help\n",
    );
    const alone = await throwaway('nested');
    expect(alone.code).toBe(2);
    expect(alone.stderr).toMatch(/\nCommands:\n {2}inner +A command in a command\n$/);
  });
});

describe('a path after a flag', () => {
  it('is refused if it looks like a flag', async () => {
    const flag = '--a-flag-with-a-long-name';
    const { stderr, code } = await throwaway('train', flag, '--verbose', '-');
    expect(stderr).toMatch(/^error: --a-flag-with-a-long-name.*"--verbose".*\nhint: /);
    expect(code).toBe(2);
    expect(JSON.parse((await throwaway('train', flag, './--verbose', '-')).stdout)).toMatchObject({
      corpus: '-',
      aFlagWithALongName: './--verbose',
    });
  });
});
