import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { specOf, type CommandSpec } from '../../src/cli/completion/spec.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { commands } from '../../src/cli/program.ts';
import { optimizerNames } from '../../src/train/optimizer.ts';
import { recordingProgram } from './definitions.ts';
import { hasTerminal, run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'completion-'));
let spec: CommandSpec;
beforeAll(async () => {
  for (const name of ['checkpoints/moby-1', 'checkpoints/bible-1', 'books'])
    mkdirSync(join(folder, name), { recursive: true });
  for (const name of ['moby-1', 'bible-1'])
    writeFileSync(join(folder, `checkpoints/${name}/config.json`), '{}');
  writeFileSync(join(folder, "a file's name.txt"), '');
  spec = specOf((await recordingProgram()).program);
  writeFileSync(join(folder, 'gpt.bash'), bashScript(spec));
  writeFileSync(join(folder, 'gpt.zsh'), zshScript(spec));
  writeFileSync(join(folder, 'gpt.fish'), fishScript(spec));
});

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;
const names = commands.map(({ name }) => name).sort();

/** What completes the last of some words; the same in every shell. */
const cases: readonly (readonly [words: string[], expected: string[]])[] = [
  [['gpt', 'tra'], ['train']],
  [['gpt', 'train', '--prese'], ['--preset']],
  [
    ['gpt', 'train', '--schedule', 'c'],
    ['constant', 'cosine'],
  ],
  [['gpt', '-q', 'train', '--optimizer', ''], optimizerNames.toSorted()],
  [['gpt', 'train', '--max-iters', ''], []],
  [
    ['gpt', 'completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  [['gpt', 'sample', '-m', 'checkpoints/mo'], ['checkpoints/moby-1']],
];

describe.runIf(has('bash'))('bash', () => {
  function complete(...words: string[]): string[] {
    const script = `source gpt.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gpt; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .sort();
  }

  test.each(cases)('%j', (words, expected) => expect(complete(...words)).toEqual(expected));

  test('completes commands, files with any name, folders, models, and values behind =', () => {
    expect(complete('gpt', '')).toEqual(names);
    expect(complete('gpt', 'train', 'a')).toEqual(["a file's name.txt"]);
    expect(complete('gpt', 'train', '-o', 'b')).toEqual(['books']);
    expect(complete('gpt', 'train', '--resume', '')).toEqual(['checkpoints/bible-1', 'checkpoints/moby-1']);
    expect(complete('gpt', 'train', '--schedule', '=', 'lin')).toEqual(['linear']);
    expect(complete('gpt', 'train', '--optimizer', '=')).toEqual(optimizerNames.toSorted());
  });
});

describe.runIf(has('fish'))('fish', () => {
  function complete(...words: string[]): string[] {
    const line = words.map((word, i) => (i < words.length - 1 && word === '' ? "''" : word)).join(' ');
    const { stdout, stderr } = spawnSync(
      'fish',
      ['--no-config', '-c', `source gpt.fish; complete -C ${JSON.stringify(line)}`],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder },
      },
    );
    expect(stderr).toBe('');
    const lines = stdout.split('\n').filter((found) => found !== '');
    return [...new Set(lines.map((found) => found.split('\t')[0].replace(/\/$/, '')))].sort();
  }

  test.each(cases)('%j', (words, expected) => expect(complete(...words)).toEqual(expected));

  test('completes commands, files and folders', () => {
    expect(complete('gpt', '')).toEqual(names);
    expect(complete('gpt', 'train', 'a').join()).toContain('file');
    expect(complete('gpt', 'train', '-o', 'b')).toEqual(['books']);
  });
});

describe.runIf(has('zsh') && hasTerminal)('zsh', () => {
  test('completes commands, flags, words, models and files', async () => {
    const settings = "PS1='ready>'; autoload -Uz compinit; compinit -u -D; source gpt.zsh";
    writeFileSync(join(folder, '.zshrc'), settings);
    const lines = [
      'gpt tra',
      'gpt train --sched',
      'gpt -q train --optimizer ',
      'gpt sample -m checkpoints/mo',
      'gpt train --val-file a',
    ];
    const { stdout } = await run(['-i'], {
      node: 'zsh',
      script: '--no-global-rcs',
      cwd: folder,
      tty: true,
      env: { ZDOTDIR: folder, TERM: 'dumb' },
      keys: [['ready>', `${lines.map((line) => `${line}\t\t\u0015`).join('')}exit\n`]],
    });
    expect(stdout).toContain('gpt train');
    expect(stdout).toMatch(/--schedule=.*\n.*constant +cosine +linear/s);
    expect(stdout).toMatch(/adamw +lion +muon +sgd/);
    expect(stdout).toContain('checkpoints/moby-1');
    expect(stdout).toContain('a\\ file');
  });
});
