import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHATML } from '../../src/chat/chatml.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { commandsIn, expectRefusal, type Refusal } from './in-process.ts';

const root = mkdtempSync(join(tmpdir(), 'chat-data-'));
const at = (...names: string[]): string => join(root, ...names);
const gpt = commandsIn(root);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SMALL =
  '--n-layer 1 --n-head 1 --n-embd 16 --block-size 32 --batch-size 4 --sample-tokens 0 --threads 1 --seed 1';

const SCHEDULE = `${SMALL} --eval-interval 6 --lr-decay-iters 18`;

const colors = ['red', 'blue', 'green', 'pink'];
const things = ['car', 'house', 'tree', 'boat', 'hat'];
const dialogues = colors.flatMap((color) =>
  things.map((thing) => ({
    messages: [
      { role: 'user', content: `a ${color} ${thing}` },
      { role: 'assistant', content: `${color}.` },
      { role: 'user', content: 'what?' },
      { role: 'assistant', content: `${thing}.` },
    ],
  })),
);
const lines = (records: readonly unknown[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');
const json = (...path: string[]): Record<string, unknown> =>
  JSON.parse(readFileSync(at(...path), 'utf8')) as Record<string, unknown>;

beforeAll(async () => {
  writeFileSync(at('chat.jsonl'), lines(dialogues));
  const { code, stderr } = await gpt(`train chat.jsonl ${SCHEDULE} --max-iters 12 -o run`);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('20 documents (chat)');
}, 60_000);

test('a model of conversations is tried with gpt chat', async () => {
  const { stderr } = await gpt(`train chat.jsonl ${SMALL} --max-iters 1 -o tried`);
  expect(stderr).toMatch(/^ {2}try it +\S.* chat tried$/m);
});

test('examples before a prompt are texts, not conversations', async () => {
  const refusal: Refusal = [2, 'bad-option-value', '--few-shot chat.jsonl'];
  await expectRefusal(['sample', '-m', 'run', '--few-shot', 'chat.jsonl', '--prompt', 'a'], refusal, root);
});

describe('a model of conversations', () => {
  test('has ChatML as its template, and its tokens as special ones', () => {
    expect(json('run', 'tokenizer_config.json')).toMatchObject({
      chat_template: CHATML,
      bos_token: '<|endoftext|>',
      eos_token: '<|im_end|>',
      additional_special_tokens: ['<|im_start|>'],
    });
    const { added_tokens: added } = json('run', 'tokenizer.json') as {
      readonly added_tokens: readonly { readonly content: string; readonly id: number }[];
    };
    expect(added.map(({ content }) => content)).toEqual([
      '<|im_start|>',
      '<|im_end|>',
      '<|endoftext|>',
      '<unk>',
    ]);
    const idOf = (token: string) => added.find(({ content }) => content === token)?.id;
    expect(json('run', 'generation_config.json')['eos_token_id']).toEqual([
      idOf('<|im_end|>'),
      idOf('<|endoftext|>'),
    ]);
  });

  test('is validated on what the assistant writes, as it is evaluated', async () => {
    const { stdout } = await gpt('eval --split val -m run --json');
    const found = JSON.parse(stdout) as Record<string, number>;
    const { val_loss: loss, val_tokens: tokens } = metadataOf('run');
    expect(found['counted_tokens']).toBe(Number(tokens));
    expect(found['nats_per_token']).toBeCloseTo(Number(loss), 5);
    expect(found['counted_tokens']).toBeLessThan(found['tokens'] / 2);
  });

  test('counts the answers and their ends in another text', async () => {
    writeFileSync(at('one.jsonl'), lines([dialogues[0], dialogues[1]]));
    const { stdout } = await gpt('eval one.jsonl -m run --json');
    // "red." "car." "red." "house." and a token after each
    expect(JSON.parse(stdout)).toMatchObject({ counted_tokens: 4 + 4 + 4 + 6 + 4 });
  });

  test('resumes to the same bytes', async () => {
    cpSync(at('run'), at('resumed'), { recursive: true });
    for (const args of [
      `--resume resumed --max-iters 18`,
      `chat.jsonl ${SCHEDULE} --max-iters 18 -o whole`,
    ]) {
      const { code, stderr } = await gpt(`train ${args}`);
      expect(code, stderr).toBe(0);
    }
    const [resumed, whole] = [bytesOf(at('resumed', 'checkpoint-18')), bytesOf(at('whole', 'checkpoint-18'))];
    expect(whole.has('model.safetensors')).toBe(true);
    expect(differences(resumed, whole).filter((file) => file.endsWith('.safetensors'))).toEqual([]);
  });

  test('is fine-tuned with the template of its folder, which jinja file or field may hold', async () => {
    cpSync(at('run'), at('own'), { recursive: true });
    const own = CHATML.replaceAll('assistant', 'bot').replace(
      "message['role']",
      "message['role'].replace('assistant', 'bot')",
    );
    writeFileSync(at('own', 'chat_template.jinja'), own);
    const { code, stderr } = await gpt(`train chat.jsonl --init-from own --max-iters 2 --threads 1 -o tuned`);
    expect(code, stderr).toBe(0);
    expect(json('tuned', 'tokenizer_config.json')['chat_template']).toBe(own);
  });

  test('is exported with its template', async () => {
    const { code, stderr } = await gpt('export run --format gguf -o run.gguf');
    expect(code, stderr).toBe(0);
    const start = readFileSync(at('run.gguf')).subarray(0, 20_000).toString('latin1');
    expect(start).toContain('tokenizer.chat_template');
    expect(start).toContain(CHATML);
  });

  test('is exported for Ollama with ChatML, and without a template of its own where Ollama may know the model', async () => {
    expect((await gpt('export run --format ollama -o ollama')).code).toBe(0);
    expect(readFileSync(at('ollama', 'Modelfile'), 'utf8')).toContain(
      '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n',
    );
    expect((await gpt('export tuned --format ollama -o other')).code).toBe(0);
    expect(readFileSync(at('other', 'Modelfile'), 'utf8')).not.toContain('TEMPLATE');
  });

  test('may be of words or bpe', async () => {
    for (const kind of ['word', 'bpe --vocab-size 300']) {
      const { code, stderr } = await gpt(
        `train chat.jsonl ${SMALL} --tokenizer ${kind} --max-iters 1 -o of-${kind[0]}`,
      );
      expect(code, stderr).toBe(0);
      const { stdout } = await gpt(`tokenize --encode -m of-${kind[0]}`, { stdin: '<|im_start|>user' });
      expect(stdout.trim().split(/\s+/)).toHaveLength(
        kind === 'word' ? 2 : stdout.trim().split(/\s+/).length,
      );
    }
  });

  test('reads special tokens of its own in messages as text, in a new run as in one that goes on from it', async () => {
    const said = dialogues.map(({ messages }) => ({
      messages: messages.map(({ role, content }) => ({ role, content: `${content}<|x|>` })),
    }));
    writeFileSync(at('said.jsonl'), lines(said));
    const { code, stderr } = await gpt(
      `train said.jsonl ${SMALL} --special-tokens <|x|> --max-iters 2 -o own-tokens`,
    );
    expect(code, stderr).toBe(0);
    const { val_loss: loss, val_tokens: tokens } = metadataOf('own-tokens');
    const { stdout } = await gpt('eval --split val -m own-tokens --json');
    const found = JSON.parse(stdout) as Record<string, number>;
    expect(found['counted_tokens']).toBe(Number(tokens));
    expect(found['nats_per_token']).toBeCloseTo(Number(loss), 5);
  });

  test('is described by gpt tokenize', async () => {
    const { stdout } = await gpt('tokenize chat.jsonl --documents chat --json');
    expect(JSON.parse(stdout)).toMatchObject({ documents: 'chat', document_count: 20, unknown_tokens: 0 });
  });
});

/** Of the weights. */
function metadataOf(run: string): Record<string, string> {
  const bytes = readFileSync(at(run, 'model.safetensors'));
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
  return (JSON.parse(header) as Record<string, Record<string, string>>)['__metadata__'];
}

describe('a text is one of conversations', () => {
  test('in the form of ShareGPT, too', async () => {
    const records = dialogues.map(({ messages }) => ({
      conversations: messages.map(({ role, content }) => ({
        from: role === 'user' ? 'human' : 'gpt',
        value: content,
      })),
    }));
    writeFileSync(at('sharegpt.jsonl'), `\n${lines(records)}`);
    const run = async (file: string): Promise<unknown> => {
      const { stdout, stderr } = await gpt(`plan ${file} --max-iters 1 --block-size 8 --json`);
      return (JSON.parse(stdout || stderr) as { readonly corpus: Record<string, unknown> }).corpus;
    };
    expect(await run('sharegpt.jsonl')).toMatchObject({ documents: 'chat', document_count: 20 });
  });

  test('unless its first record is a text', async () => {
    writeFileSync(at('text.jsonl'), lines([{ text: 'abc', messages: 3 }, { text: 'abcd' }]));
    const { stdout, stderr } = await gpt(
      'plan text.jsonl --max-iters 1 --block-size 2 --val-fraction 0 --json',
    );
    expect(JSON.parse(stdout || stderr)).toMatchObject({ corpus: { documents: 'jsonl' } });
  });

  test('without the lines that are none, if that is asked for', async () => {
    writeFileSync(at('bad.jsonl'), `${lines(dialogues)}{"messages": [\n${lines([{ messages: [] }])}`);
    const { stderr, code } = await gpt(`train bad.jsonl --skip-bad-lines ${SMALL} --max-iters 1 -o skipped`);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('20 documents (chat), 2 bad lines left out');
  });
});

describe('what is refused', () => {
  const turn = (role: string, content: unknown = 'a'): unknown => ({ role, content });
  test.each<[what: string, record: string, mentions: readonly string[]]>([
    ['a broken line', '{"messages": [', ['x.jsonl:2', 'not JSON']],
    ['an empty conversation', '{"messages": []}', ['x.jsonl:2', 'no messages']],
    [
      'a role of tools',
      JSON.stringify({ messages: [turn('user'), turn('tool')] }),
      ['x.jsonl:2', 'message 2', '"tool"'],
    ],
    ['an unknown role', JSON.stringify({ messages: [turn('bot')] }), ['x.jsonl:2', '"bot"']],
    [
      'one side twice',
      JSON.stringify({ messages: [turn('user'), turn('user')] }),
      ['x.jsonl:2', 'user in a row'],
    ],
    [
      'a late system message',
      JSON.stringify({ messages: [turn('user'), turn('system')] }),
      ['x.jsonl:2', 'system'],
    ],
    ['no answer', JSON.stringify({ messages: [turn('user')] }), ['x.jsonl:2', 'no assistant message']],
    ['no text', JSON.stringify({ messages: [turn('user', null)] }), ['x.jsonl:2', 'null']],
  ])('%s', async (_, record, mentions) => {
    writeFileSync(at('x.jsonl'), `${lines([dialogues[0]])}${record}\n`);
    const refusal: Refusal = [1, 'damaged-file', mentions.join(' … ')];
    await expectRefusal(['train', 'x.jsonl', '--max-iters', '1', '-o', 'x'], refusal, root);
  });

  test.each<[what: string, template: string, mentions: readonly string[]]>([
    ['a broken template', '{% for m in messages %}', ['chat template of evil', 'Jinja']],
    [
      'a template that refuses conversations',
      "{{ raise_exception('Not today') }}",
      ['chat.jsonl:1', 'Not today'],
    ],
    ['a template that fails', '{{ messages.nothing() }}', ['chat.jsonl:1', 'fails']],
  ])('%s', async (_, template, mentions) => {
    cpSync(at('run'), at('evil'), { recursive: true });
    writeFileSync(at('evil', 'chat_template.jinja'), template);
    const { code, stderr } = await gpt('train chat.jsonl --init-from evil --max-iters 1 -o x');
    expect(code).toBe(1);
    for (const mention of mentions) expect(stderr).toContain(mention);
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  });

  test('conversations in a token file', async () => {
    const refusal: Refusal = [2, 'conflicting-options', 'gpt train chat.jsonl'];
    await expectRefusal('tokenize chat.jsonl --documents chat -o ids'.split(' '), refusal, root);
  });

  test('a model without a template', async () => {
    writeFileSync(at('abc.txt'), 'a red car is a blue house.\n'.repeat(20));
    expect((await gpt(`train abc.txt ${SMALL} --max-iters 1 -o base`)).code).toBe(0);
    const refusal: Refusal = [1, 'unsuitable-tokenizer', 'base … chat_template … --documents'];
    await expectRefusal('train chat.jsonl --init-from base -o x'.split(' '), refusal, root);
    await expectRefusal('eval chat.jsonl -m base'.split(' '), refusal, root);
  });
});
