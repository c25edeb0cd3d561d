import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { asStarted, COMMAND_NAMES, commandNameOf } from '../../src/cli/command-name.ts';
import { commands } from '../../src/cli/program.ts';
import { printable } from '../../src/cli/terminal.ts';
import { shellQuoted } from '../../src/shell-quote.ts';
import { gpt, run } from './run.ts';

test('the hint of a wrong command is pasted as the program was started', async () => {
  const started = join('project', 'node_modules', '.bin', 'gpt');
  const { stderr, code } = await run(['--no-such-flag'], { env: { GPT_STARTED_AS: started } });
  expect(stderr).toContain('hint: see npx gpt --help\n');
  expect(code).toBe(2);
  const ofCommand = await run(['eval', '--no-such-flag'], { env: { GPT_STARTED_AS: started } });
  expect(ofCommand.stderr).toContain('hint: see npx gpt eval --help\n');
});

describe.skipIf(process.platform === 'win32')('the command is named as it was started', () => {
  const folder = mkdtempSync(join(tmpdir(), 'command-name-'));
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'other'));
  writeFileSync(join(folder, 'gpt.js'), '');
  for (const name of ['gpt', 'gpt-trainer']) symlinkSync(join(folder, 'gpt.js'), join(folder, 'bin', name));
  writeFileSync(join(folder, 'other', 'gpt'), ''); // macOS's
  chmodSync(join(folder, 'other', 'gpt'), 0o755);
  const path = (...names: string[]): string => names.map((name) => join(folder, name)).join(delimiter);

  test.each([
    ['npx gpt', '/home/me/.npm/_npx/1/node_modules/.bin/gpt', {}],
    ['npx gpt-trainer', '/home/me/project/node_modules/.bin/gpt-trainer', {}],
    ['gpt', join(folder, 'bin/gpt'), { PATH: path('bin', 'other') }],
    ['gpt-trainer', join(folder, 'bin/gpt-trainer'), { PATH: path('other', 'bin') }],
    // Another program comes first: its name would start that one.
    [join('.', 'bin/gpt'), join(folder, 'bin/gpt'), { PATH: path('other', 'bin') }],
    ['node bin/gpt.js', join(folder, 'bin/gpt.js'), {}],
    ['node "/some where/bin/gpt.js"', '/some where/bin/gpt.js', {}],
    ['npm run dev --', join(folder, 'src/cli/main.ts'), { npm_lifecycle_event: 'dev' }],
    ['npx tsx src/cli/main.ts', join(folder, 'src/cli/main.ts'), {}],
    ['gpt', '/usr/lib/node_modules/gpt-trainer/bin/gpt.js', {}],
    ['npx gpt', '/home/me/node_modules/gpt-trainer/bin/gpt.js', { npm_command: 'exec' }],
    ['gpt', undefined, {}],
  ])('%s', (name, script, environment) => {
    expect(commandNameOf({ script, environment, cwd: folder })).toBe(name);
  });

  test('in hints, usage and examples', async () => {
    const bare = { cwd: tmpdir(), env: { GPT_STARTED_AS: undefined } };
    expect((await run(['train', '--no-such'], bare)).stderr).toContain(`hint: see node ${gpt} train --help`);
    const { stdout } = await run(['sample', '--help'], bare);
    expect(stdout).toContain(`Usage: node ${gpt} sample`);
    expect(stdout).toMatch(new RegExp(`^ {2}node ${gpt} sample`, 'm'));
  });
});

test('the command lines of all commands are rewritten', () => {
  expect(COMMAND_NAMES).toEqual(commands.map(({ name }) => name));
});

test('only command lines are rewritten, not words that look like them', () => {
  // In this process nobody has said how it was started.
  expect(asStarted('gpt train x; a gpt sample; `gpt eval`')).toBe('gpt train x; a gpt sample; `gpt eval`');
  expect(asStarted('checkpoints/gpt train')).toBe('checkpoints/gpt train');
});

describe.skipIf(process.platform === 'win32')('a quoted word', () => {
  test.each([
    'plain',
    'a b',
    "it's",
    '"$HOME" `x` \\',
    '~',
    '-n',
    '',
    'a\nb',
    '*?[!]',
    'é 話',
    '#x',
    'a;b&c|d',
    '\u001b[2J',
    "it's \\ \u202e\u009b\r\n",
  ])('%j reaches a program as it is', (text) => {
    const line = `printf %s ${shellQuoted(text)}`;
    expect(execFileSync('bash', ['-c', line], { encoding: 'utf8' })).toBe(text);
    expect(printable(line)).toBe(line); // nor does a terminal change it
  });
});
