/** Fine-tuning: `gpt train --init-from`. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openModelFolder } from '../../../src/checkpoint/open-model.ts';
import { latestCheckpoint } from '../../../src/checkpoint/checkpoint-folders.ts';
import { openSafetensors } from '../../../src/checkpoint/safetensors.ts';
import { expectRefusal, runInProcess } from '../in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'init-from-'));
const path = (name: string): string => join(folder, name);

beforeAll(async () => {
  writeFileSync(path('prose.txt'), 'It was a dark and stormy night; the rain fell in torrents.\n'.repeat(50));
  writeFileSync(path('verse.txt'), 'The sea, the stars, the rain, the night, and then a word.\n'.repeat(50));
  const shape = '--n-layer 2 --n-head 2 --n-embd 32 --block-size 16 --batch-size 4 --max-iters 60';
  for (const [name, flags] of [
    ['model', ''],
    ['waves', '--positions sinusoidal'],
  ])
    await gpt(`train prose.txt ${shape} ${flags} -o ${name}`);
}, 60_000);

async function gpt(line: string) {
  const result = await runInProcess([...line.split(/ +/).filter(Boolean), '--quiet'], folder);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

const weights = (name: string): Map<string, Float32Array> => {
  const file = openSafetensors(join(path(name), 'model.safetensors'));
  try {
    return new Map([...file.tensors.keys()].map((tensor) => [tensor, file.read(tensor)]));
  } finally {
    file.close();
  }
};
const metrics = (name: string): { step: number; loss?: number }[] =>
  readFileSync(join(path(name), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { step: number; loss?: number });

test('with a learning rate of 0, fine-tuning returns the model unchanged', async () => {
  await gpt('train verse.txt --init-from model --learning-rate 0 --min-lr 0 --max-iters 2 -o same');
  expect(weights('same')).toEqual(weights('model'));
  const [one, two] = ['same', 'model'].map((name) => openModelFolder(path(name)));
  expect({ ...one.config, dropout: 0 }).toEqual({ ...two.config, dropout: 0 });
  expect(one.tokenizer.toJSON()).toEqual(two.tokenizer.toJSON());
});

test('fine-tuning starts at the loss of the model, at a learning rate for its width, and adapts to the text', async () => {
  await gpt('train verse.txt --max-iters 40 --batch-size 4 --init-from model -o tuned');
  const losses = metrics('tuned').flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  expect(losses[0]).toBeLessThan(metrics('model')[0].loss! - 0.3);
  expect(losses.at(-1)).toBeLessThan(losses[0]);
  const state = JSON.parse(
    readFileSync(join(latestCheckpoint(path('tuned'))!.folder, 'gpt_trainer_state.json'), 'utf8'),
  ) as { options: Record<string, unknown> };
  expect(state.options).toMatchObject({ learningRate: 1e-3, nEmbd: 32, blockSize: 16, initFrom: 'model' });
});

test('a shorter block uses the first positions; sinusoidal ones also reach further', async () => {
  const still = '--learning-rate 0 --min-lr 0 --max-iters 1 --batch-size 2';
  await gpt(`train verse.txt --init-from model --block-size 8 ${still} -o short`);
  const [short, whole] = ['short', 'model'].map((name) => weights(name).get('transformer.wpe.weight')!);
  expect(short).toEqual(whole.subarray(0, 8 * 32));
  await gpt(`train verse.txt --init-from waves --block-size 24 ${still} -o long`);
  const [long, first] = ['long', 'waves'].map((name) => weights(name).get('transformer.wpe.weight')!);
  expect(long.subarray(0, 16 * 32)).toEqual(first);
  expect(openModelFolder(path('long')).config.blockSize).toBe(24);
});

test('a fine-tuned run resumes to the same bits without its starting model, and again from its record', async () => {
  const line = 'train verse.txt --init-from gone --eval-interval 10 --batch-size 4 --dropout 0.1';
  cpSync(path('model'), path('gone'), { recursive: true });
  await gpt(`${line} --max-iters 30 -o straight`);
  await gpt(`train --config straight -o again`);
  await gpt(`${line} --max-iters 12 --lr-decay-iters 30 --warmup-iters 3 -o pieces`);
  rmSync(path('gone'), { recursive: true });
  await gpt('train --resume pieces --max-iters 30');
  const state = (name: string): Buffer =>
    readFileSync(join(latestCheckpoint(path(name))!.folder, 'optimizer.safetensors'));
  expect(weights('again')).toEqual(weights('straight'));
  expect(state('pieces').equals(state('straight'))).toBe(true);
  expect(weights('pieces')).toEqual(weights('straight'));
});

test('the starting model is saved as a checkpoint for rollbacks', async () => {
  await gpt('train verse.txt --init-from model --max-iters 3 --batch-size 2 --eval-interval 0 -o kept');
  const checkpoints = readdirSync(path('kept')).filter((file) => file.startsWith('checkpoint-'));
  expect(checkpoints).toEqual(['checkpoint-0', 'checkpoint-3']);
});

test('a token file must be made with the tokenizer of the model', async () => {
  await gpt('tokenize verse.txt --model model -o tokens');
  await gpt('train tokens/tokens.bin --init-from model --max-iters 2 --batch-size 2 -o from-tokens');
  await gpt('tokenize verse.txt -o others');
  await expectRefusal(
    'train others/tokens.bin --init-from model --max-iters 2 -o no'.split(' '),
    [1, 'mismatched-files', 'others/tokens.bin'],
    folder,
  );
});

test.each([
  ['--n-layer 4', 'conflicting-options', 'model', '4', '2'],
  ['--norm post', 'conflicting-options', 'model', '"post"', '"pre"'],
  ['--tokenizer word', 'conflicting-options', 'model', 'word', 'char'],
  ['--preset nano', 'commander.conflictingOption', '--init-from'],
  ['--vocab-size 100', 'commander.conflictingOption', '--init-from'],
  ['--block-size 17', 'bad-option-value', 'model', '17', '16', 'learned'],
])('%s is refused', async (flags, errorCode, ...mentioned) => {
  const [flag] = flags.split(' ');
  await expectRefusal(
    ['train', 'verse.txt', '--init-from', 'model', ...flags.split(' ')],
    [2, errorCode, flag, ...mentioned],
    folder,
  );
});

test('rotary positions reach further, but not for adapters, which have the context of their base', async () => {
  await gpt(
    'train prose.txt --arch qwen3 --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --max-iters 2 -o rotary',
  );
  const still = '--learning-rate 0 --min-lr 0 --max-iters 1 --batch-size 2';
  await gpt(`train verse.txt --init-from rotary --block-size 24 ${still} -o further`);
  const { config } = openModelFolder(path('further'));
  expect(config).toEqual({ ...openModelFolder(path('rotary')).config, blockSize: 24 });
  expect(JSON.parse(readFileSync(path('further/config.json'), 'utf8'))).toMatchObject({
    max_position_embeddings: 24,
  });
  expect(weights('further')).toEqual(weights('rotary'));
  await gpt('train --resume further --max-iters 2');
  await expectRefusal(
    'train verse.txt --init-from rotary --lora-rank 2 --block-size 24 --max-iters 1'.split(' '),
    [2, 'bad-option-value', '--block-size 24 … 16 … "max_position_embeddings"'],
    folder,
  );
});
