import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandsIn, expectRefusal, type Refusal } from './in-process.ts';

const root = mkdtempSync(join(tmpdir(), 'documents-'));
const gpt = commandsIn(root);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Names in order: their end is unlike the rest. */
const names = ['a', 'b', 'c', 'd', 'e'].flatMap((first) =>
  ['la', 'ra', 'lo', 'ro', 'mi', 'no', 'na', 'li'].flatMap((middle) => [
    `${first}${middle}n`,
    `${first}${middle}s`,
  ]),
);
const SMALL =
  '--n-layer 1 --n-head 1 --n-embd 16 --block-size 8 --batch-size 4 --sample-tokens 0 --threads 1 --seed 1';

beforeAll(async () => {
  writeFileSync(join(root, 'names.txt'), `${names.join('\n')}\n`);
  const { code, stderr } = await gpt(
    `train names.txt --documents lines ${SMALL} --max-iters 300 --learning-rate 1e-2 -o run`,
  );
  expect(code, stderr).toBe(0);
}, 60_000);

interface State {
  readonly options: { readonly documents: string };
}
const stateOf = (run: string, step: number): State =>
  JSON.parse(readFileSync(join(root, run, `checkpoint-${step}`, 'gpt_trainer_state.json'), 'utf8')) as State;

describe('a model of documents', () => {
  test('writes a list of them, each to its end', async () => {
    const { stdout, stderr } = await gpt('sample -m run --documents --num-samples 12 --seed 1', {
      stdin: '',
    });
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(12);
    for (const line of lines) expect(line).toMatch(/^[a-e][a-z]{0,7}$/);
    const own = lines.filter((line) => !names.includes(line)).length;
    expect(own).toBeLessThan(12); // some are of the list
    expect(stderr).toContain(`${own} of 12 documents`);
  });

  test('has a token that ends a text, in the files of its folder', () => {
    const read = (file: string): unknown => JSON.parse(readFileSync(join(root, 'run', file), 'utf8'));
    expect(read('tokenizer_config.json')).toMatchObject({
      bos_token: '<|endoftext|>',
      eos_token: '<|endoftext|>',
      unk_token: '<unk>',
    });
    const { bos_token_id: start, eos_token_id: end } = read('generation_config.json') as Record<
      string,
      number
    >;
    const { model } = read('tokenizer.json') as {
      readonly model: { readonly vocab: Record<string, number> };
    };
    expect([start, end]).toEqual([model.vocab['<|endoftext|>'], model.vocab['<|endoftext|>']]);
  });

  test('is validated on whole documents from all over the list', async () => {
    const { stdout } = await gpt('eval --split val -m run --tokens --json');
    const tokens = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly text: string });
    const found = tokens
      .map(({ text }) => text)
      .join('')
      .split('<|endoftext|>')
      .slice(1, -1);
    expect(found.length).toBeGreaterThanOrEqual(names.length / 15);
    expect(names).toEqual(expect.arrayContaining(found));
    expect(new Set(found.map(([first]) => first)).size).toBeGreaterThan(2);
  });

  test('reads another text in the same way, and counts its end tokens as no bytes', async () => {
    writeFileSync(join(root, 'other.txt'), 'alan\n\nbros\n');
    const { stdout } = await gpt('eval other.txt -m run --json');
    expect(JSON.parse(stdout)).toMatchObject({ tokens: 11, characters: 8, bytes: 8 });
  });

  test('resumes with its documents, without being told again', async () => {
    cpSync(join(root, 'run'), join(root, 'resumed'), { recursive: true });
    const { code, stderr } = await gpt('train --resume resumed --max-iters 310');
    expect(code, stderr).toBe(0);
    expect(stateOf('resumed', 310).options.documents).toBe('lines');
  });
});

describe('the loss of each document', () => {
  interface Line {
    readonly file: string;
    readonly document: number;
    readonly line?: number;
    readonly tokens: number;
    readonly bytes: number;
    readonly nats: number;
    readonly bits_per_byte: number;
  }
  const perDocument = async (args: string): Promise<Line[]> => {
    const { code, stdout, stderr } = await gpt(`eval -m run --per-document ${args}`);
    expect(code, stderr).toBe(0);
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  };

  test('tells where it is from, and does not depend on those before', async () => {
    writeFileSync(join(root, 'three.txt'), 'alan\n\nbros\nxelan\n');
    writeFileSync(join(root, 'one.txt'), 'bros\n');
    const found = await perDocument('three.txt one.txt');
    expect(
      found.map(({ file, document, line, tokens, bytes }) => [file, document, line, tokens, bytes]),
    ).toEqual([
      ['three.txt', 1, 1, 5, 4],
      ['three.txt', 2, 3, 5, 4],
      ['three.txt', 3, 4, 6, 5],
      ['one.txt', 1, 1, 5, 4],
    ]);
    const [first, second, third, alone] = found;
    expect(alone.nats).toBe(second.nats);
    expect(first.nats).toBeLessThan(third.nats); // x does not occur in names
    expect(first.bits_per_byte).toBeCloseTo(first.nats / Math.LN2 / 4, 10);
    expect(third.bits_per_byte).toBeGreaterThan(third.nats / Math.LN2 / 5); // the spelling of x is added
  });

  test.each<[kind: string, file: string, text: string, lines: (number | undefined)[]]>([
    ['paragraphs', 'p.txt', '\n\nalan\nbros\n\n\nalin\n', [3, 7]],
    ['jsonl', 'p.jsonl', '{"text":"alan"}\n\n{"text":"bros"}\n', [1, 3]],
    ['csv', 'p.csv', 'id,text\n1,"al\nan"\n2,bros\n', [2, 4]],
    ['--', 'p2.txt', 'alan\nalis\n--\n\nbros\n--\nalin', [1, 5, 7]],
    ['files', 'p3.txt', 'alan\nbros\n', [undefined]],
  ])('of %s is found by its line', async (kind, file, text, lines) => {
    writeFileSync(join(root, file), text);
    const found = await perDocument(`${file} --documents=${kind}`);
    expect(found.map(({ line }) => line)).toEqual(lines);
  });

  test('of the validation split add up to all of them', async () => {
    const found = await perDocument('--split val');
    const { stdout } = await gpt('eval -m run --split val --json');
    const whole = JSON.parse(stdout) as { readonly tokens: number; readonly bytes: number };
    expect(found.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(whole.tokens - 1);
    expect(found.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(whole.bytes);
  });
});

describe('a run with a document mask', () => {
  beforeAll(async () => {
    const { code, stderr } = await gpt(
      `train names.txt --documents lines --document-mask ${SMALL} --block-size 24 --max-iters 60 -o masked`,
    );
    expect(code, stderr).toBe(0);
  }, 60_000);

  test('is evaluated with it: each document as if it were alone', async () => {
    const whole = JSON.parse((await gpt('eval -m masked --split val --json --stride 12')).stdout) as {
      readonly tokens: number;
      readonly nats_per_token: number;
    };
    const { stdout } = await gpt('eval -m masked --split val --per-document');
    const nats = stdout
      .trimEnd()
      .split('\n')
      .reduce((sum, line) => sum + (JSON.parse(line) as { readonly nats: number }).nats, 0);
    // No name is longer than what a window of 24 tokens keeps of the one before, 12.
    expect(whole.nats_per_token).toBeCloseTo(nats / (whole.tokens - 1), 6);
  });

  test('is its own: a run without one does not change to it unless forced', async () => {
    await expectRefusal(
      'train --resume run --max-iters 310 --document-mask'.split(' '),
      [2, 'conflicting-options', '--document-mask … true … false … --force'],
      root,
    );
  });
});

describe('gpt sample --few-shot', () => {
  interface Sample {
    readonly text: string;
    readonly finish_reason: string;
  }
  const sample = async (args: string): Promise<{ samples: Sample[]; stderr: string }> => {
    const { code, stdout, stderr } = await gpt(`sample ${args} --json --seed 1 --max-tokens 40`, {
      stdin: '',
    });
    expect(code, stderr).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    return { samples: lines.map((line) => JSON.parse(line) as Sample), stderr };
  };

  beforeAll(() => {
    writeFileSync(join(root, 'examples.txt'), 'alan\nbros\nclas\n');
    writeFileSync(join(root, 'examples.jsonl'), '{"text":"alan"}\n{"text":"bros"}\n');
    writeFileSync(join(root, 'few.txt'), 'a\nb\n');
  });

  // Of a context of 24 tokens, 12 are for examples and prompt: each name of four letters takes five, the first end one.
  test.each<[prompt: string, count: number, all: string]>([
    ['c', 2, '<|endoftext|>alan<|endoftext|>bros<|endoftext|>c'],
    ['cl', 1, '<|endoftext|>alan<|endoftext|>cl'],
  ])('puts as many examples before %j as fit: %s', async (prompt, count, all) => {
    for (const file of ['examples.txt', 'examples.jsonl']) {
      const { samples, stderr } = await sample(`-m masked --few-shot ${file} --prompt ${prompt}`);
      expect(stderr).toContain(`${count} example`);
      expect(samples).toHaveLength(1);
      expect(samples[0].text).toBe((await sample(`-m masked --prompt ${all}`)).samples[0].text);
    }
  });

  test('separates them by a blank line for a model of undivided text, and stops at the next', async () => {
    expect((await gpt(`train names.txt ${SMALL} --max-iters 2 -o undivided`)).code).toBe(0);
    const { samples, stderr } = await sample('-m undivided --few-shot few.txt --num-samples 12');
    expect(stderr).toContain('1 example');
    for (const { text } of samples) expect(text).not.toContain('\n\n');
  });

  test.each<[args: string, refusal: Refusal]>([
    ['sample -m run --few-shot examples.txt --prompt a', [1, 'text-too-short', 'examples.txt … 4 of the 8']],
    ['sample -m masked --few-shot gone.txt --prompt a', [1, 'ENOENT', 'gone.txt']],
    ['sample -m masked --few-shot bad.jsonl --prompt a', [1, 'damaged-file', 'bad.jsonl:1']],
    [
      'sample -m masked --few-shot examples.txt -i',
      [2, 'commander.conflictingOption', '--few-shot … --interactive'],
    ],
  ])('gpt %s', async (args, refusal) => {
    writeFileSync(join(root, 'bad.jsonl'), '{"text":}\n');
    await expectRefusal(args.split(' '), refusal, root);
  });
});

describe('without --documents', () => {
  test('a text is one document, also for runs that do not know the option', async () => {
    expect((await gpt(`train names.txt ${SMALL} --max-iters 2 -o whole`)).code).toBe(0);
    const file = join(root, 'whole', 'checkpoint-2', 'gpt_trainer_state.json');
    const state = JSON.parse(readFileSync(file, 'utf8')) as { options: Record<string, unknown> };
    expect(state.options['documents']).toBe('whole');
    expect(readFileSync(join(root, 'whole', 'tokenizer.json'), 'utf8')).not.toContain('endoftext');
  });

  test.each<[name: string, files: Readonly<Record<string, string>>, documents: string, count: number]>([
    ['a folder is files', { 'a.txt': 'ab\n', 'b.txt': 'abc\n', 'c.txt': 'abcd\n' }, 'files', 3],
    ['.jsonl is JSON lines', { 'a.jsonl': '{"text":"ab"}\n{"text":"abc"}\n' }, 'jsonl', 2],
    ['.csv is a column', { 'a.csv': 'id,text\n1,ab\n2,"a,b"\n' }, 'csv', 2],
  ])('%s', async (_name, files, documents, count) => {
    const folder = join(root, `implied-${documents}`);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const { stdout, stderr } = await gpt([
      'plan',
      folder,
      '--max-iters',
      '1',
      '--block-size',
      '2',
      '--val-fraction',
      '0',
      '--json',
    ]);
    expect(JSON.parse(stdout || stderr)).toMatchObject({
      corpus: { documents, document_count: count, bad_lines: 0 },
      training: { options: { documents } },
    });
  });
});

describe('special tokens of one’s own', () => {
  const vocabularyOf = (folder: string): Record<string, number> => {
    const json = readFileSync(join(root, folder, 'tokenizer.json'), 'utf8');
    return (JSON.parse(json) as { readonly model: { readonly vocab: Record<string, number> } }).model.vocab;
  };

  test('are in the tokenizer of a run, which resumes with them, and of gpt tokenize', async () => {
    writeFileSync(join(root, 'turns.txt'), '<|a|>alan<|b|>bros\n'.repeat(20));
    const tokens = '<|a|>,<|b|>,<|c|>';
    expect((await gpt(`train turns.txt --special-tokens ${tokens} ${SMALL} --max-iters 2 -o own`)).code).toBe(
      0,
    );
    expect((await gpt('train --resume own --max-iters 3')).code).toBe(0);
    expect((await gpt(`tokenize turns.txt --special-tokens ${tokens} -o own-ids`)).code).toBe(0);
    for (const folder of ['own', 'own-ids']) {
      const vocabulary = vocabularyOf(folder);
      expect(Object.keys(vocabulary)).toEqual(expect.arrayContaining(tokens.split(',')));
      expect(Object.keys(vocabulary)).not.toContain('<');
    }
  });

  test.each<[args: string, refusal: Refusal]>([
    [
      'train names.txt --special-tokens a',
      [2, 'bad-option-value', '--special-tokens … "a" … two characters'],
    ],
    [
      'tokenize names.txt --special-tokens <|a|> -m run',
      [2, 'conflicting-options', '--special-tokens … --model'],
    ],
    ['train tokens/tokens.bin --special-tokens <|a|>', [2, 'conflicting-options', '--special-tokens']],
  ])('gpt %s', async (args, refusal) => {
    if (args.includes('tokens.bin')) await gpt('tokenize names.txt -o tokens');
    await expectRefusal(args.split(' '), refusal, root);
    rmSync(join(root, 'tokens'), { recursive: true, force: true });
  });
});

describe('bad lines', () => {
  beforeAll(() => {
    writeFileSync(join(root, 'bad.jsonl'), `{"text":"${'ab'.repeat(30)}"}\n{"text":}\n{"body":"x"}\n`);
    writeFileSync(join(root, 'bad.csv'), 'id,body\n1,x\n');
    writeFileSync(join(root, 'empty.jsonl'), '\n\n');
    writeFileSync(join(root, 'empty.csv'), '');
  });

  test.each<[args: string, refusal: Refusal]>([
    ['train bad.jsonl', [1, 'damaged-file', 'bad.jsonl:2 … --skip-bad-lines']],
    ['tokenize bad.jsonl', [1, 'damaged-file', 'bad.jsonl:2 … --skip-bad-lines']],
    ['train bad.csv', [1, 'damaged-file', 'bad.csv … "text" … "body" … --documents csv:']],
    ['train empty.csv', [1, 'empty-text', 'empty.csv … documents']],
    ['train names.txt --skip-bad-lines', [2, 'conflicting-options', '--skip-bad-lines … whole']],
    [
      'tokenize names.txt --documents lines --skip-bad-lines',
      [2, 'conflicting-options', '--skip-bad-lines … lines'],
    ],
    ['train empty.jsonl', [1, 'empty-text', 'empty.jsonl … documents']],
    ['train names.txt --documents line', [2, 'bad-option-value', '--documents … "line" … lines']],
    ['eval bad.jsonl -m run', [1, 'damaged-file', 'bad.jsonl:2']],
    ['sample -m whole --documents', [2, 'unsuitable-tokenizer', '--documents lines']],
    ['eval names.txt -m whole --documents lines', [2, 'unsuitable-tokenizer', 'whole … --documents whole']],
    [
      'train names.txt --document-mask --max-iters 1',
      [2, 'conflicting-options', '--document-mask … --documents'],
    ],
    [
      // A bpe vocabulary has an end token, whether the text has documents or not.
      'train names.txt --document-mask --tokenizer bpe --vocab-size 258 --block-size 8 --max-iters 1',
      [2, 'conflicting-options', '--document-mask has no effect … --documents'],
    ],
    [
      'eval names.txt -m run --per-document --tokens',
      [2, 'conflicting-options', '--per-document … --tokens'],
    ],
    [
      'eval -m run --memorization --per-document',
      [2, 'conflicting-options', '--memorization … --per-document'],
    ],
    ['eval bad.jsonl -m run --per-document', [1, 'damaged-file', 'bad.jsonl:2 … --skip-bad-lines']],
    ['train bad.jsonl --init-from whole', [2, 'unsuitable-tokenizer', 'jsonl … --documents whole']],
  ])('gpt %s', async (args, refusal) => {
    await expectRefusal(args.split(' '), refusal, root);
  });

  test('an empty document is none, and counts as none', async () => {
    writeFileSync(join(root, 'some.jsonl'), '{"text":"ab"}\n{"text":""}\n\n{"text":"c"}\n');
    const { stdout } = await gpt('tokenize some.jsonl --json');
    expect(JSON.parse(stdout)).toMatchObject({ document_count: 2, bad_lines: 0 });
  });

  test('are left out and counted with --skip-bad-lines', async () => {
    const { stdout } = await gpt('tokenize bad.jsonl --documents jsonl --skip-bad-lines --json');
    expect(JSON.parse(stdout)).toMatchObject({ documents: 'jsonl', document_count: 1, bad_lines: 2 });
  });
});

test('gpt tokenize writes documents in the order in which a run trains on them', async () => {
  const { code } = await gpt('tokenize names.txt --documents lines -o tokens');
  expect(code).toBe(0);
  const bytes = Uint8Array.from(readFileSync(join(root, 'tokens', 'tokens.bin')).subarray(68));
  const { stdout } = await gpt('tokenize --decode -m tokens', {
    stdin: new Uint16Array(bytes.buffer).join('\n'),
  });
  const found = stdout
    .trim()
    .split('<|endoftext|>')
    .filter((text) => text !== '');
  expect(found.toSorted()).toEqual(names.toSorted());
  expect(found).not.toEqual(names);
});

test('a token file of documents is split where the text itself is', async () => {
  expect((await gpt('tokenize names.txt --documents lines -o divided')).code).toBe(0);
  const weights = (run: string): Buffer => readFileSync(join(root, run, 'model.safetensors'));
  const options = `${SMALL} --block-size 24 --max-iters 3 --document-mask`;
  for (const args of [
    `names.txt --documents lines ${options} -o of-text`,
    `divided/tokens.bin ${options} -o of-ids`,
  ]) {
    const { code, stderr } = await gpt(`train ${args}`);
    expect(code, stderr).toBe(0);
  }
  expect(weights('of-ids').equals(weights('of-text'))).toBe(true);
  const measured = async (run: string): Promise<unknown> => {
    const { tokens, bytes, nats_per_token } = JSON.parse(
      (await gpt(`eval -m ${run} --split val --json`)).stdout,
    ) as Record<string, unknown>;
    return { tokens, bytes, nats_per_token };
  };
  expect(await measured('of-ids')).toEqual(await measured('of-text'));
});
