import { expect, test } from 'vitest';
import { createProgram, registerAll } from '../../src/cli/program.ts';
import { hintForFlag } from '../../src/cli/foreign-flags.ts';
import { runInProcess } from './in-process.ts';

test.each([
  ['train', '--lr', 'did you mean --learning-rate?'],
  ['train', '--lr=3e-4', 'did you mean --learning-rate?'],
  ['train', '--epochs', 'use --max-iters, the number of steps, or --minutes'],
  ['train', '--num_train_epochs', 'use --max-iters'],
  ['train', '--n_layer', 'did you mean --n-layer?'],
  ['train', '--nLayer', 'did you mean --n-layer?'],
  ['train', '--n_head=4', 'did you mean --n-head?'],
  ['train', '--device', 'it runs on the CPU; --threads sets the number of cores'],
  ['train', '--max_steps', 'did you mean --max-iters?'],
  ['train', '--hidden-size', 'did you mean --n-embd?'],
  ['train', '--seq_len', 'did you mean --block-size?'],
  ['train', '--dataset', 'name the text without a flag: gpt train book.txt'],
  ['train', '--compile', 'leave it out'],
  ['sample', '--max-new-tokens', 'did you mean --max-tokens?'],
  ['sample', '--top_k', 'did you mean --top-k?'],
  ['sample', '--temp', 'did you mean --temperature?'],
  ['sample', '--num_return_sequences', 'did you mean --num-samples?'],
  ['sample', '--start', 'did you mean --prompt?'],
  ['sample', '--device', 'it runs on the CPU'],
  ['sample', '--temprature', 'did you mean --temperature?'],
  ['eval', '--checkpoint', 'did you mean --model?'],
])('gpt %s %s: %s', async (command, typed, hint) => {
  const { stderr } = await runInProcess([command, typed]);
  expect(stderr).toMatch(/^error: unknown option '--/);
  expect(stderr).toContain('\nhint: ');
  expect(stderr).toContain(hint);
  expect(stderr).toContain(`ee gpt ${command} --help`);
});

test('a prompt without quotes is told that it needs them', async () => {
  const { stderr, code } = await runInProcess(['sample', 'Call', 'me']);
  expect(stderr).toContain("error: too many arguments for 'sample'");
  expect(stderr).toContain('hint: put a text with spaces in quotes; see gpt sample --help');
  expect(code).toBe(2);
});

test('a flag is suggested only to a command that has it', async () => {
  const program = createProgram();
  await registerAll(program);
  for (const command of program.commands) {
    const flags = command.options.flatMap(({ long }) => (long == null ? [] : [long.slice(2)]));
    for (const typed of [
      '--lr',
      '--epochs',
      '--max-new-tokens',
      '--device',
      '--top_k',
      '--n-layers',
      '--checkpoint',
    ]) {
      const meant = /^did you mean --(.+)\?$/.exec(hintForFlag(typed, flags) ?? '')?.[1];
      if (meant !== undefined) expect(flags).toContain(meant);
    }
  }
});
