import { expect, test } from 'vitest';
import { createProgram, registerAll } from '../../src/cli/program.ts';
import { hintForFlag } from '../../src/cli/foreign-flags.ts';
import { runInProcess } from './in-process.ts';

test.each([
  ['train', '--lr', 'did you mean --learning-rate?'],
  ['train', '--lr=3e-4', 'did you mean --learning-rate?'],
  ['train', '--epochs', 'use --max-iters (steps) or --minutes'],
  ['train', '--num_train_epochs', 'use --max-iters'],
  ['train', '--n_layer', 'did you mean --n-layer?'],
  ['train', '--nLayer', 'did you mean --n-layer?'],
  ['train', '--n_head=4', 'did you mean --n-head?'],
  ['train', '--cuda', '--device webgpu computes on a GPU'],
  ['train', '--max_steps', 'did you mean --max-iters?'],
  ['train', '--hidden-size', 'did you mean --n-embd?'],
  ['train', '--seq_len', 'did you mean --block-size?'],
  ['train', '--dataset', 'pass the text without a flag: gpt train book.txt'],
  ['train', '-m', 'did you mean --init-from?'],
  ['train', '--shuffle', 'did you mean --batch-sampling?'],
  ['train', '--decay_type', 'did you mean --lr-decay-type?'],
  ['train', '-v', 'did you mean --verbose?'],
  ['plan', '--model', 'did you mean --init-from?'],
  ['compare', '-o', 'did you mean --html?'],
  ['report', '--html', 'did you mean --output?'],
  ['compare', '-m', 'pass the runs without a flag: gpt compare checkpoints/*'],
  ['train', '--compile', 'omit it'],
  ['sample', '--max-new-tokens', 'did you mean --max-tokens?'],
  ['sample', '--top_k', 'did you mean --top-k?'],
  ['sample', '--temp', 'did you mean --temperature?'],
  ['sample', '--num_return_sequences', 'did you mean --num-samples?'],
  ['sample', '--start', 'did you mean --prompt?'],
  ['sample', '--ngl', '--device webgpu computes on a GPU'],
  ['sample', '--temprature', 'did you mean --temperature?'],
  ['eval', '--checkpoint', 'did you mean --model?'],
])('gpt %s %s: %s', async (command, typed, hint) => {
  const { stderr } = await runInProcess([command, typed]);
  expect(stderr).toMatch(/^error: unknown option '-/);
  expect(stderr).toContain('\nhint: ');
  expect(stderr).toContain(hint);
  expect(stderr).toContain(`ee gpt ${command} --help`);
});

test.each([
  ['train --data book.txt --max-iters 5', 'pass the text without a flag: gpt train book.txt --max-iters 5'],
  ['train --data=book.txt', 'pass the text without a flag: gpt train book.txt'],
  ['compare -m one -m two', 'pass the runs without a flag: gpt compare one two'],
  ['sample --prompt whales -o out.txt', 'standard output: gpt sample --prompt whales > out.txt'],
  ['eval book.txt --output=out.txt --json', 'standard output: gpt eval book.txt --json > out.txt'],
  ['inspect -o', 'standard output: gpt inspect > results.txt'],
])('gpt %s: the hint is a command to paste', async (line, hint) => {
  const { stderr, code } = await runInProcess(line.split(' '));
  expect(stderr).toContain(`${hint};`);
  expect(code).toBe(2);
});

test('an unquoted prompt gets the hint to quote it', async () => {
  const { stderr, code } = await runInProcess(['sample', 'Call', 'me']);
  expect(stderr).toMatch(/^error: .*'sample'/);
  expect(stderr).toMatch(/\nhint: .*quote.*gpt sample --help\n$/);
  expect(code).toBe(2);
});

test('a flag is suggested only for a command that has it', async () => {
  const program = createProgram();
  await registerAll(program);
  for (const command of program.commands) {
    const flags = command.options.flatMap(({ long }) => (long == null ? [] : [long.slice(2)]));
    for (const typed of [
      '--lr',
      '--epochs',
      '--max-new-tokens',
      '--gpu',
      '--top_k',
      '--n-layers',
      '--checkpoint',
    ]) {
      const meant = /^did you mean --(.+)\?$/.exec(
        hintForFlag(typed, { line: `gpt ${command.name()}`, flags, args: [typed] }) ?? '',
      )?.[1];
      if (meant !== undefined) expect(flags).toContain(meant);
    }
  }
});
