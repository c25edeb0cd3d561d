/** Growing the vocabulary of a trained model: `gpt train --init-from … --grow-vocab` and `--special-tokens`. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openModelFolder } from '../../../src/checkpoint/open-model.ts';
import { encode } from '../../../src/tokenizer/tokenizer.ts';
import { bytesOf, differences } from '../../fixtures/run-bytes.ts';
import { commandsIn, expectRefusal } from '../in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'grow-vocab-'));
const path = (...names: string[]): string => join(folder, ...names);
const run = commandsIn(folder);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function gpt(line: string) {
  const result = await run(line);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

const SHAPE = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --sample-tokens 0';
const STILL = '--learning-rate 0 --min-lr 0 --max-iters 1 --batch-size 2 --sample-tokens 0';
const VERSE = 'Größe: the ürn and 日本, 😀.\n';

beforeAll(async () => {
  writeFileSync(path('prose.txt'), 'It was a dark and stormy night; the rain fell in torrents.\n'.repeat(50));
  writeFileSync(path('verse.txt'), VERSE.repeat(40));
  writeFileSync(path('notes.jsonl'), '{"text":"a dark night"}\n'.repeat(40));
  const messages = [
    { role: 'user', content: 'the rain <|im_end|> @' },
    { role: 'assistant', content: 'fell' },
  ];
  writeFileSync(path('chat.jsonl'), `${JSON.stringify({ messages })}\n`.repeat(30));
  await gpt(`train prose.txt ${SHAPE} --arch qwen3 --max-iters 20 -o char`);
  await gpt(`train prose.txt ${SHAPE} --max-iters 2 -o tied`);
  await gpt(`train prose.txt ${SHAPE} --tokenizer word --max-iters 2 -o word --rare-words unk`);
  await gpt(`train prose.txt ${SHAPE} --tokenizer word --max-iters 2 -o spelling`);
  await gpt('tokenize prose.txt --model char -o tokens');
  await gpt(`train prose.txt ${SHAPE} --tokenizer bpe --vocab-size 270 --max-iters 2 -o bpe`);
}, 60_000);

const embeddings = (name: string, tensor: string): Float32Array => {
  const reader = openModelFolder(path(name)).open();
  try {
    return reader.read(tensor);
  } finally {
    reader.close();
  }
};

function meanOfRows(table: Float32Array, C: number): number[] {
  const sums = new Float64Array(C);
  table.forEach((x, i) => (sums[i % C] += x));
  return [...Float32Array.from(sums, (sum) => sum / (table.length / C))];
}

test('new characters get ids after the others, and the mean of their rows; the old rows stay', async () => {
  const { stderr } = await gpt(`train verse.txt --init-from char --grow-vocab ${STILL} -o grown`);
  expect(stderr).toMatch(/Added to the vocabulary: 9 new characters\. .* the other 23\./);
  expect(stderr).not.toContain('<unk>, which');
  const [before, after] = ['char', 'grown'].map((name) => openModelFolder(path(name)));
  expect(after.config).toEqual({ ...before.config, vocabSize: 32 });
  expect(after.tokenizer.vocabulary.slice(0, 23)).toEqual(before.tokenizer.vocabulary);
  expect(after.tokenizer.decode(encode(after.tokenizer, VERSE))).toBe(VERSE);
  for (const tensor of ['embed_tokens.weight', 'lm_head.weight']) {
    const [old, table] = ['char', 'grown'].map((name) => embeddings(name, tensor));
    expect(table.subarray(0, old.length)).toEqual(old);
    for (let row = 23; row < 32; row++)
      expect([...table.subarray(16 * row, 16 * row + 16)]).toEqual(meanOfRows(old, 16));
  }
});

test('a grown model resumes to the same bits, is repeated from its record, evaluated, sampled and exported', async () => {
  const line = `train verse.txt --init-from tied --grow-vocab --special-tokens <|user|>,<|bot|> --batch-size 4 --eval-interval 4 --sample-tokens 0 --lr-decay-iters 8 --warmup-iters 2 --threads 1`;
  await gpt(`${line} --max-iters 8 -o whole`);
  await gpt(`${line} --max-iters 4 -o halves`);
  await gpt('train --resume halves --max-iters 8 --threads 1');
  const [halves, whole] = ['halves', 'whole'].map((name) => bytesOf(path(name)));
  for (const file of ['model.safetensors', 'checkpoint-8/optimizer.safetensors', 'tokenizer.json'])
    expect(halves.get(file) === whole.get(file), file).toBe(true);
  await gpt('train --config whole --threads 1 -o again');
  expect(differences(whole, bytesOf(path('again')))).toEqual([]);
  expect((await gpt('eval verse.txt -m whole --json')).stdout).toContain('"unknown_tokens":0');
  await gpt('sample -m whole --prompt 日本<|bot|> --max-tokens 4');
  await gpt('export whole --format gguf -o whole.gguf');
  await gpt('export whole --format safetensors --dtype bf16 -o narrow');
  expect(openModelFolder(path('narrow')).tokenizer.vocabulary).toContain('<|bot|>');
  expect(readFileSync(path('whole', 'README.md'), 'utf8')).toContain('--grow-vocab');
});

test('without it, a text with new characters is announced', async () => {
  const { stderr } = await gpt(`train verse.txt --init-from char ${STILL} -o announced`);
  expect(stderr).toMatch(/<unk>.*--grow-vocab/);
  expect(openModelFolder(path('announced')).config.vocabSize).toBe(23);
});

test('new words may have to be frequent', async () => {
  writeFileSync(path('words.txt'), `${'the new sea\n'.repeat(30)}the rare one\n`);
  await gpt(`train words.txt --init-from word --grow-vocab --min-frequency 5 ${STILL} -o words`);
  const [before, after] = ['word', 'words'].map((name) => openModelFolder(path(name)).tokenizer.vocabulary);
  expect(after.slice(before.length)).toEqual(
    ['the', ' new', ' sea'].filter((word) => !before.includes(word)),
  );
});

test('a model that spells words learns new characters, not words', async () => {
  const { stderr } = await gpt(`train verse.txt --init-from spelling --grow-vocab ${STILL} -o spelled`);
  expect(stderr).toMatch(/Added to the vocabulary: \d+ new characters?\./);
  const { tokenizer } = openModelFolder(path('spelled'));
  const first = openModelFolder(path('spelling')).tokenizer.vocabSize;
  expect(tokenizer.vocabulary.slice(first).map((token) => Array.from(token).length)).toEqual(
    Array.from({ length: tokenizer.vocabSize - first }, () => 1),
  );
  expect(tokenizer.decode(encode(tokenizer, VERSE))).toBe(VERSE);
});

describe.each(['char', 'word', 'spelling', 'bpe'])('a %s model without special tokens', (name) => {
  test('learns conversations in ChatML', async () => {
    await expectRefusal(
      ['train', 'chat.jsonl', '--init-from', name],
      [1, 'unsuitable-tokenizer', `${name} … chat_template … --grow-vocab`],
      folder,
    );
    await gpt(`train chat.jsonl --init-from ${name} --grow-vocab ${STILL} -o chat-${name}`);
    const { tokenizer } = openModelFolder(path(`chat-${name}`));
    const before = openModelFolder(path(name)).tokenizer;
    expect(tokenizer.vocabulary.slice(0, before.vocabSize)).toEqual(before.vocabulary);
    const ends = [...tokenizer.special.endIds].map((id) => tokenizer.vocabulary[id]);
    expect(ends.slice(0, 2)).toEqual(['<|im_end|>', '<|endoftext|>']);
    expect(tokenizer.chatTemplate).toContain('<|im_start|>');
    const { stdout } = await gpt(`eval chat.jsonl -m chat-${name} --json`);
    expect(stdout).toContain('"unknown_tokens":0');
  });

  test('learns documents', async () => {
    await gpt(`train notes.jsonl --init-from ${name} --grow-vocab ${STILL} -o notes-${name}`);
    const { tokenizer } = openModelFolder(path(`notes-${name}`));
    expect([...tokenizer.special.endIds].map((id) => tokenizer.vocabulary[id])).toEqual(['<|endoftext|>']);
  });
});

test.each([
  [
    'verse.txt --grow-vocab --lora-rank 4',
    'conflicting-options',
    '--lora-rank … 9 new tokens … --grow-vocab',
  ],
  [
    'verse.txt --special-tokens <|a|> --lora-rank 4',
    'conflicting-options',
    '--lora-rank … 1 new token … --special-tokens',
  ],
  ['verse.txt --min-frequency 2', 'conflicting-options', '--min-frequency … char'],
  ['tokens/tokens.bin --grow-vocab', 'conflicting-options', '--grow-vocab'],
  ['tokens/tokens.bin --special-tokens <|a|>', 'conflicting-options', '--special-tokens'],
])('%s is refused', async (line, code, mentioned) => {
  await expectRefusal(['train', ...line.split(' '), '--init-from', 'char'], [2, code, mentioned], folder);
});

test('adapters may be trained with special tokens that the model has', async () => {
  await gpt(`train verse.txt --init-from tied --special-tokens <|a|> ${STILL} -o known`);
  await gpt(`train verse.txt --init-from known --special-tokens <|a|> --lora-rank 2 ${STILL} -o adapter`);
  expect(openModelFolder(path('adapter'), { base: path('known') }).tokenizer.vocabulary).toContain('<|a|>');
});

test('a bpe run that has grown can be repeated from its record', async () => {
  await gpt('train notes.jsonl --init-from bpe --grow-vocab --max-iters 2 -o grown-bpe');
  await gpt('train --config grown-bpe -o again-bpe');
  const [again, grown] = ['again-bpe', 'grown-bpe'].map((name) =>
    readFileSync(path(name, 'model.safetensors')),
  );
  expect(again.equals(grown)).toBe(true);
});

test('a literal <|endoftext|> divides the text of a model that lacks it', async () => {
  writeFileSync(path('divided.txt'), 'a dark night<|endoftext|>the rain<|endoftext|>'.repeat(60));
  await gpt(`train divided.txt --init-from char --grow-vocab ${STILL} -o divided`);
  const { tokenizer } = openModelFolder(path('divided'));
  expect(encode(tokenizer, 'a<|endoftext|>b')).toHaveLength(3);
});

test('a special token must not be a word of the vocabulary', async () => {
  await expectRefusal(
    'train prose.txt --init-from word --special-tokens It -o x'.split(' '),
    [2, 'bad-option-value', '"It"'],
    folder,
  );
});

test('without a model to start from, --grow-vocab has no effect, and a warning says so', async () => {
  const { stderr } = await gpt(`train prose.txt ${SHAPE} --max-iters 1 --grow-vocab -o new`);
  expect(stderr).toMatch(/^warning: --grow-vocab has no effect without --init-from$/m);
});
