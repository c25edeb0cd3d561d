/** What holds for every command, also for one that is added tomorrow: it needs a line in `calls` below. */
import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/program.ts';
import { train } from '../../src/index.ts';
import { gptCalls, recordingProgram, withSubcommands } from './definitions.ts';
import { expectRefusal } from './in-process.ts';
import { run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'every-command-'));
const text = Array.from(
  { length: 300 },
  (_, i) => `The ${['whale', 'sea', 'ship'][(i * i) % 3]} ${i}.\n`,
).join('');

/** A call of each command that is done quickly; what it prints with --json is checked. */
const calls: Readonly<Record<string, { readonly args: string; readonly stdin?: string }>> = {
  train: { args: 'train corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 2 -o other' },
  plan: { args: 'plan corpus.txt --preset nano --max-iters 10' },
  sample: { args: 'sample -n 3 --seed 1', stdin: 'The' },
  chat: { args: 'chat chatter --max-tokens 3 --seed 1', stdin: 'The whale' },
  eval: { args: 'eval', stdin: text },
  tokenize: { args: 'tokenize -', stdin: text },
  inspect: { args: 'inspect' },
  compare: { args: 'compare checkpoints/corpus-1 checkpoints/corpus-1' },
  report: { args: 'report checkpoints/corpus-1 -o report.html' },
  list: { args: 'list' },
  rm: { args: 'rm checkpoints/spare-1 --yes' },
  prune: { args: 'prune checkpoints/spare-2 --yes' },
  export: { args: 'export checkpoints/corpus-1 --force' },
  gradcheck: { args: 'gradcheck --limit 1' },
  completion: { args: 'completion' },
};
/** Those that take too long for a unit test; other tests run them. */
const slow = new Set(['bench', 'doctor']);

let program: Command;
let parse: Awaited<ReturnType<typeof recordingProgram>>['parse'];
beforeAll(async () => {
  ({ program, parse } = await recordingProgram());
  writeFileSync(join(folder, 'corpus.txt'), text);
  const tiny = { nLayer: 1, nHead: 2, nEmbd: 16, blockSize: 16, batchSize: 4, maxIters: 10, evalIters: 1 };
  await train({
    corpus: [join(folder, 'corpus.txt')],
    outDir: join(folder, 'checkpoints/corpus-1'),
    ...tiny,
  });
  const dialogue = {
    messages: [
      { role: 'user', content: 'The whale' },
      { role: 'assistant', content: 'The sea' },
    ],
  };
  writeFileSync(join(folder, 'dialogues.jsonl'), `${JSON.stringify(dialogue)}\n`.repeat(50));
  await train({
    ...tiny,
    corpus: [join(folder, 'dialogues.jsonl')],
    outDir: join(folder, 'chatter'),
    blockSize: 32,
  });
  for (const spare of ['spare-1', 'spare-2'])
    cpSync(join(folder, 'checkpoints/corpus-1'), join(folder, 'checkpoints', spare), { recursive: true });
});

const find = (name: string): Command => program.commands.find((command) => command.name() === name)!;

describe.each(commands.map(({ name }) => name))('%s', (name) => {
  const at = (args: string, env: Record<string, string> = {}, stdin = '') =>
    run(args.split(' '), { cwd: folder, stdin, env });

  test('accepts --json, --quiet, --config and the other common flags', () => {
    for (const command of withSubcommands(find(name)).filter(({ commands: below }) => below.length === 0)) {
      const flags = command.options.map(({ long }) => long);
      for (const flag of ['--json', '--quiet', '--verbose', '--no-color', '--debug', '--config'])
        expect(flags, command.name()).toContain(flag);
    }
  });

  test('has examples, and they parse', async () => {
    let help = '';
    find(name)
      .configureOutput({ writeOut: (piece) => (help += piece) })
      .outputHelp();
    const examples = help.slice(help.indexOf('Examples:'));
    const found = gptCalls(examples.replaceAll(/^  /gm, ''));
    expect(found.length).toBeGreaterThan(0);
    expect(found.some(([first]) => first === name)).toBe(true);
    for (const words of found) {
      const fresh = await recordingProgram();
      await expect(fresh.parse(words), words.join(' ')).resolves.toBeDefined();
    }
  });

  test('refuses an unknown flag with exit code 2, in one or two lines, on stderr alone', async () => {
    await expectRefusal([name, '--no-such-flag'], [2, 'commander.unknownOption', '--no-such-flag … hint: ']);
  });

  test.skipIf(slow.has(name))('prints JSON and nothing else with --json --quiet', async () => {
    const call = calls[name];
    expect(call, `test/cli/every-command.test.ts has no call of ${name}`).toBeDefined();
    await parse(call.args.split(' '));
    const { stdout, stderr, code } = await at(
      `${call.args} --json --quiet`,
      { FORCE_COLOR: '1' },
      call.stdin,
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.endsWith('\n')).toBe(true);
    const values = isJson(stdout) ? [stdout] : stdout.trim().split('\n');
    expect(values.every(isJson), stdout.slice(0, 500)).toBe(true);
    expect(values.flatMap((value) => keysOf(JSON.parse(value))).filter(isCamelCase)).toEqual([]);
  });
});

/** Of all objects in a value. */
const keysOf = (value: unknown): string[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => [
        ...(Array.isArray(value) ? [] : [key]),
        ...keysOf(inner),
      ])
    : [];
/** JSON of all commands has keys in snake_case. */
const isCamelCase = (key: string): boolean => /^[a-z][a-z0-9]*[A-Z]/.test(key);

function isJson(candidate: string): boolean {
  try {
    JSON.parse(candidate);
    return true;
  } catch {
    return false;
  }
}
