/** The README.md of a run. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runInProcess } from '../in-process.ts';
import { gptCalls } from '../definitions.ts';

const folder = mkdtempSync(join(tmpdir(), 'model-card-'));
const at = (name: string): string => join(folder, name);
const text = Array.from({ length: 300 }, (_, i) => `Call me Ishmael ${(i * 7919) % 1000}, or not.\n`).join(
  '',
);
const TEXT = 'a: "b" #c.txt';
writeFileSync(at(TEXT), text);
const TINY =
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --eval-interval 4 --quiet'.split(' ');

async function gpt(...args: string[]): Promise<void> {
  const { code, stderr } = await runInProcess(args, folder);
  expect(code, stderr).toBe(0);
}
const cardOf = (run: string): string => readFileSync(at(`${run}/README.md`), 'utf8');
const weightsOf = (run: string): Buffer => readFileSync(at(`${run}/model.safetensors`));
const commandOf = (run: string): string => /^gpt train .*$/m.exec(cardOf(run))![0];

describe('the command in a card', () => {
  test.each([
    [
      'a model of its own',
      ['--max-iters', '8', '--arch', 'qwen3', '--optimizer', 'muon', '--dropout', '0.1'],
    ],
    ['a split', ['--max-iters', '8', '--val-fraction', '0.3', '--tokenizer', 'word', '--ema-decay', '0.9']],
  ])('repeats %s to the same bytes', async (name, flags) => {
    await gpt('train', at(TEXT), '-o', name, ...TINY, ...flags);
    const [words] = gptCalls(commandOf(name));
    expect(words.join(' ')).not.toContain(folder);
    await gpt(...words, '-o', `again ${name}`, '--quiet');
    expect(weightsOf(`again ${name}`)).toEqual(weightsOf(name));
    await gpt(
      'train',
      TEXT,
      '-o',
      'tuned',
      '--init-from',
      name,
      '--max-iters',
      '3',
      '--quiet',
      '--overwrite',
    );
    expect(cardOf('tuned')).toContain(`fine-tuned from \`${name}\``);
    const [tuning] = gptCalls(commandOf('tuned'));
    await gpt(...tuning, '-o', 'tuned again', '--quiet', '--overwrite');
    expect(weightsOf('tuned again')).toEqual(weightsOf('tuned'));
  });
});

test('the card follows the run until somebody edits it', async () => {
  await gpt('train', TEXT, '-o', 'run', ...TINY, '--max-iters', '4');
  expect(cardOf('run')).toMatch(/\| steps \| 4 \|/);
  await gpt('train', '--resume', 'run', '--max-iters', '8', '--quiet');
  expect(cardOf('run')).toMatch(/\| steps \| 8 \|[^]*similar model/);
  const edited = cardOf('run').replace('# a', '# My whale, a');
  writeFileSync(at('run/README.md'), edited);
  await gpt('train', '--resume', 'run', '--max-iters', '9', '--quiet');
  expect(cardOf('run')).toBe(edited);
  await gpt('export', 'run', '--format', 'safetensors', '-o', 'out', '--quiet');
  expect(cardOf('out')).toMatch(/# My whale, a[^]*rounded to bf16/);
  writeFileSync(at('out/README.md'), 'mine');
  await gpt('export', 'run', '--format', 'safetensors', '-o', 'out', '--quiet', '--force');
  expect(cardOf('out')).toBe('mine');
});
