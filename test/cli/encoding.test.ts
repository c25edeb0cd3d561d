import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { commandsIn, expectRefusal } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'encoding-'));
const text = 'Le café de la plage ouvre à midi.\n'.repeat(60);
writeFileSync(join(folder, 'latin1.txt'), Buffer.from(text, 'latin1'));
writeFileSync(join(folder, 'utf16.txt'), Buffer.from(text, 'utf16le'));
writeFileSync(join(folder, 'prompts.txt'), Buffer.from('\ufeffcafé\nplage\n', 'utf16le'));
const at = commandsIn(folder);
const json = async (args: string) =>
  JSON.parse((await at(`${args} --json`)).stdout) as Record<string, unknown>;
const TINY =
  '--n-layer 1 --n-head 1 --n-embd 8 --block-size 16 --max-iters 3 --eval-iters 1 --sample-tokens 0';

beforeAll(async () => {
  const { stderr, code } = await at(`train latin1.txt --encoding latin1 ${TINY} -o run`);
  expect(code, stderr).toBe(0);
}, 60_000);

test('a run records the canonical name of its encoding and reads its text in it when resumed', async () => {
  const state = readFileSync(join(folder, 'run/checkpoint-3/gpt_trainer_state.json'), 'utf8');
  expect((JSON.parse(state) as { options: object }).options).toMatchObject({ encoding: 'windows-1252' });
  expect(await json('eval --split train -m run')).toMatchObject({ unknown_tokens: 0 });
  const same = await at('train --resume run --encoding iso-8859-1 --max-iters 4');
  expect(same.code, same.stderr).toBe(0);
  await expectRefusal(
    'train --resume run --encoding koi8-r --max-iters 5'.split(' '),
    [2, 'conflicting-options', '--encoding … koi8-r … "windows-1252"'],
    folder,
  );
}, 60_000);

test('eval, tokenize and plan read texts in the encoding given', async () => {
  const characters = text.length;
  expect(await json('tokenize utf16.txt --encoding utf-16le')).toMatchObject({
    characters,
    replaced_characters: 0,
  });
  expect(await json('eval utf16.txt --encoding utf-16le -m run')).toMatchObject({
    characters,
    unknown_tokens: 0,
  });
  expect(await json(`plan utf16.txt --encoding utf-16le ${TINY.replace(/ --eval.*/, '')}`)).toMatchObject({
    corpus: { characters, replaced_characters: 0 },
  });
}, 60_000);

test('--encoding-errors replace reports how many characters it replaced', async () => {
  const { stderr } = await at('tokenize latin1.txt --encoding-errors replace');
  expect(stderr).toContain('latin1.txt: 120 of 2,040 characters (5.88%) are U+FFFD');
  const found = { replaced_characters: 120, replaced_share: 120 / 2040 };
  expect(await json(`train latin1.txt --encoding-errors replace ${TINY} -o replaced`)).toMatchObject(found);
  expect(await json('eval latin1.txt --encoding-errors replace -m replaced')).toMatchObject(found);
}, 60_000);

test('a prompt on the command line has no encoding', async () => {
  for (const prompt of ['--prompt plage', 'plage']) {
    const { stderr, code } = await at(`sample -m run ${prompt} --encoding latin1`);
    expect(stderr).toMatch(/^error: --encoding .*prompt/m);
    expect(code).toBe(2);
  }
});

test('sample --prompts reads UTF-16', async () => {
  const { stdout, code } = await at('sample -m run --prompts prompts.txt -n 1');
  expect(code).toBe(0);
  const prompts = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { prompt: string }).prompt);
  expect(prompts).toEqual(['café', 'plage']);
}, 60_000);

test('an unknown encoding is refused with the name of a similar one', async () => {
  await expectRefusal(
    'tokenize latin1.txt --encoding latin-1'.split(' '),
    [2, 'bad-option-value', '--encoding … "latin-1" … hint: did you mean latin1?'],
    folder,
  );
});
