import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'encoding-'));
const text = 'Le café de la plage ouvre à midi.\n'.repeat(60);
writeFileSync(join(folder, 'latin1.txt'), Buffer.from(text, 'latin1'));
writeFileSync(join(folder, 'utf16.txt'), Buffer.from(text, 'utf16le'));
writeFileSync(join(folder, 'prompts.txt'), Buffer.from('\ufeffcafé\nplage\n', 'utf16le'));
const at = (args: string) => run(args.split(' '), { cwd: folder });
const json = async (args: string) =>
  JSON.parse((await at(`${args} --json`)).stdout) as Record<string, unknown>;
const TINY =
  '--n-layer 1 --n-head 1 --n-embd 8 --block-size 16 --max-iters 3 --eval-iters 1 --sample-tokens 0';

beforeAll(async () => {
  const { stderr, code } = await at(`train latin1.txt --encoding latin1 ${TINY} -o run`);
  expect(code, stderr).toBe(0);
}, 60_000);

test('a run notes the canonical name, and its text is read in it again', async () => {
  const state = readFileSync(join(folder, 'run/checkpoint-3/gpt_trainer_state.json'), 'utf8');
  expect((JSON.parse(state) as { options: object }).options).toMatchObject({ encoding: 'windows-1252' });
  expect(await json('eval --split train -m run')).toMatchObject({ unknown_tokens: 0 });
  const same = await at('train --resume run --encoding iso-8859-1 --max-iters 4');
  expect(same.code, same.stderr).toBe(0);
  const other = await at('train --resume run --encoding koi8-r --max-iters 5');
  expect(other.code).toBe(2);
  expect(other.stderr).toContain('--encoding is koi8-r, but the run has "windows-1252"');
}, 60_000);

test('eval, tokenize and plan read the encoding that is named', async () => {
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

test('--encoding-errors replace says how much it replaced', async () => {
  const { stderr } = await at('tokenize latin1.txt --encoding-errors replace');
  expect(stderr).toContain('latin1.txt: 120 of 2,040 characters (5.88%) are U+FFFD');
  const found = { replaced_characters: 120, replaced_share: 120 / 2040 };
  expect(await json(`train latin1.txt --encoding-errors replace ${TINY} -o replaced`)).toMatchObject(found);
  expect(await json('eval latin1.txt --encoding-errors replace -m replaced')).toMatchObject(found);
}, 60_000);

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
  const { stderr, code } = await at('tokenize latin1.txt --encoding latin-1');
  expect(code).toBe(2);
  expect(stderr).toContain('--encoding: "latin-1" is not a known encoding\nhint: did you mean latin1?');
});
