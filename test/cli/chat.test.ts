import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { commandsIn, expectRefusal } from './in-process.ts';
import { hasTerminal, type RunOptions } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'chat-'));
const gpt = commandsIn(folder);
const facts = { whale: 'big', sea: 'deep', ship: 'old' } as const;
const question = (thing: string): string => `What is the ${thing}?`;
const answerOf = (thing: keyof typeof facts): string => `The ${thing} is ${facts[thing]}.`;

interface Line {
  readonly turn: number;
  readonly user: string;
  readonly assistant: string;
  readonly finish_reason: string;
  readonly prompt_tokens: number;
  readonly prefilled_tokens: number;
  readonly completion_tokens: number;
  readonly dropped_turns: number;
  readonly unknown: string[];
  readonly error?: { readonly code: string; readonly message: string };
}

const lines = (...typed: string[]): RunOptions => ({ stdin: typed.map((line) => `${line}\n`).join('') });
const chat = (flags: string[], ...typed: string[]) => gpt(['chat', 'chatter', ...flags], lines(...typed));
const turns = async (flags: string[], ...typed: string[]): Promise<Line[]> => {
  const { stdout, stderr } = await chat([...flags, '--json', '--greedy', '--quiet'], ...typed);
  expect(stderr).toBe('');
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
};

beforeAll(async () => {
  const things = Object.keys(facts) as (keyof typeof facts)[];
  const turn = (thing: keyof typeof facts) => [
    { role: 'user', content: question(thing) },
    { role: 'assistant', content: answerOf(thing) },
  ];
  const conversations = Array.from({ length: 90 }, (_, i) => [
    ...(i % 4 === 0 ? [{ role: 'system', content: 'Say it' }] : []),
    ...turn(things[i % 3]),
    ...(i % 2 === 0 ? turn(things[(i + 1 + (i % 4) / 2) % 3]) : []),
  ]);
  writeFileSync(
    join(folder, 'dialogues.jsonl'),
    conversations.map((messages) => `${JSON.stringify({ messages })}\n`).join(''),
  );
  writeFileSync(join(folder, 'plain.txt'), 'The whale is big. The sea is deep.\n'.repeat(1200));
  writeFileSync(join(folder, 'lines.jinja'), "{% for m in messages %}{{ m['content'] }}\n{% endfor %}");
  const train = async (args: string) => {
    const { code, stderr } = await gpt(`train ${args} -q --arch qwen3 --warmup-iters 2`);
    expect(code, stderr).toBe(0);
  };
  await train(
    'plain.txt -o checkpoints/plain --n-layer 4 --n-head 2 --n-embd 128 --block-size 4096 --batch-size 1 --max-iters 1',
  );
  await train(
    'dialogues.jsonl -o checkpoints/chatter --tokenizer word --rare-words unk --n-layer 1 --n-head 2 --n-embd 32 --block-size 64 --batch-size 8 --optimizer muon --learning-rate 5e-3 --max-iters 200',
  );
}, 120_000);

describe('a chat', () => {
  test('answers the lines of a pipe one by one, each ended by the end of its turn', async () => {
    const { stdout, stderr, code } = await chat(['--greedy'], question('whale'), '', question('sea'));
    expect(stdout).toBe(`${answerOf('whale')}\n${answerOf('sea')}\n`);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  });

  test('answers a message given as an argument, and reads nothing', async () => {
    const alone = await gpt(['chat', 'chatter', question('whale'), '--greedy'], lines(question('sea')));
    expect(alone).toMatchObject({ stdout: `${answerOf('whale')}\n`, stderr: '', code: 0 });
    const named = await gpt(['chat', '-m', 'chatter', question('sea'), '--greedy', '--json']);
    expect(JSON.parse(named.stdout)).toMatchObject({ turn: 1, assistant: answerOf('sea') });
    const slash = await gpt(['chat', 'chatter', '/show', '--json', '--seed', '1', '-n', '5']);
    expect(JSON.parse(slash.stdout)).toMatchObject({ user: '/show' });
  });

  test('names what is wrong with a message given as an argument', async () => {
    const long = await gpt(['chat', 'chatter', 'whale '.repeat(80)]);
    expect(long).toMatchObject({ stdout: '', code: 1 });
    expect(long.stderr).toMatch(/^error: .*\b64\b/);
    const withoutModel = await gpt(['chat', question('sea')]);
    expect(withoutModel).toMatchObject({ stdout: '', code: 2 });
    expect(withoutModel.stderr).toMatch(/gpt chat MODEL ['"]What is the sea\?['"]/);
  });

  test('takes the newest model by default', async () => {
    const { stdout, stderr } = await gpt(['chat', '--greedy'], lines(question('ship')));
    expect(stdout).toBe(`${answerOf('ship')}\n`);
    expect(stderr).toContain('checkpoints/chatter');
  });

  test('answers before the next line arrives', async () => {
    let end = (): void => {};
    const { code } = await gpt(['chat', 'chatter', '--greedy'], {
      feed: (stdin) => {
        stdin.write(`${question('whale')}\n`);
        end = () => void stdin.end();
      },
      onOutput: (output) => output.includes(answerOf('whale')) && end(),
    });
    expect(code).toBe(0);
  });

  test('prints an object for each turn with --json, and keeps one KV cache between turns', async () => {
    const [first, second, again] = await turns([], question('whale'), question('sea'), '/retry');
    expect(first).toMatchObject({
      turn: 1,
      user: question('whale'),
      assistant: answerOf('whale'),
      finish_reason: 'stop',
      dropped_turns: 0,
      unknown: [],
    });
    expect(first.prefilled_tokens).toBe(first.prompt_tokens);
    expect(second).toMatchObject({ turn: 2, assistant: answerOf('sea') });
    expect(second.prefilled_tokens).toBe(
      second.prompt_tokens - first.prompt_tokens - first.completion_tokens,
    );
    expect(again).toMatchObject({ turn: 2, user: question('sea'), prefilled_tokens: 1 });
  });

  test('drops whole oldest turns when the context is full, says so, and keeps the system message', async () => {
    const asked = ['whale', 'sea', 'ship', 'whale', 'sea', 'ship'].map(question);
    const given = await turns(['--system', 'Say it'], ...asked);
    const dropped = given.map((each) => each.dropped_turns);
    expect(dropped[0]).toBe(0);
    expect(dropped.at(-1)).toBeGreaterThan(1);
    expect(dropped).toEqual(dropped.toSorted((a, b) => a - b));
    for (const each of given) expect(each.prompt_tokens).toBeLessThan(64);
    const { stderr, stdout } = await chat(['--system', 'Say it', '--greedy'], ...asked, '/show');
    expect(stderr).toMatch(/context of 64 tokens is full.*first turn\b/);
    expect(stdout).toContain(`system: Say it\n> ${asked[0]}\n`); // what the model no longer sees is still there
  });

  test('an answer that fills the context alone ends there', async () => {
    const { stdout, stderr } = await gpt(
      'chat plain --chat-template lines.jinja -n 100000 --seed 1 --json'.split(' '),
      lines('The sea'),
    );
    const given = JSON.parse(stdout) as Line;
    expect(given.prompt_tokens + given.completion_tokens).toBe(4097);
    expect(given).toMatchObject({ finish_reason: 'length' });
    expect(stderr).toMatch(/context of 4,096 tokens is full.*answer ends/);
  });

  test('a message that is too long for the context is refused, with or without a system message', async () => {
    const long = 'whale '.repeat(80);
    const [refused, next] = await turns([], long, question('sea'));
    expect(refused.error).toMatchObject({ code: 'context-exceeded' });
    expect(refused.error!.message).toMatch(/\b64\b/);
    expect(next).toMatchObject({ turn: 1, assistant: answerOf('sea') });
    const [system] = await turns(['--system', long], question('sea'));
    expect(system.error).toMatchObject({ code: 'context-exceeded' });
    expect(system.error!.message).toContain('system message');
  });

  test('a special token that the user types is ordinary text', async () => {
    const [plain, typed] = await turns([], question('whale'), '/new', `${question('whale')}<|im_end|>`);
    expect(typed.prompt_tokens).toBeGreaterThan(plain.prompt_tokens + 1); // several pieces of it
    expect(typed.unknown.join(' ')).toContain('im_end');
  });

  test('words that the vocabulary lacks are named, and replaced, skipped or refused', async () => {
    const asked = 'What is the walrus?';
    expect((await turns([], asked))[0]).toMatchObject({ unknown: ['walrus'] });
    const [replaced] = await turns([], asked);
    const [skipped] = await turns(['--unk', 'skip'], asked);
    expect(skipped.prompt_tokens).toBe(replaced.prompt_tokens - 1);
    expect((await turns(['--unk', 'error'], asked))[0].error).toMatchObject({ code: 'not-in-vocabulary' });
    expect((await chat(['--greedy'], asked)).stderr).toContain('"walrus"');
  });
});

describe('the commands of a chat', () => {
  test('retry, undo, start over and show', async () => {
    const { stdout, stderr, code } = await chat(
      ['--greedy'],
      question('whale'),
      question('sea'),
      '/retry',
      '/undo',
      '/undo',
      '/undo',
      '/undo',
      '/new',
      '/show',
    );
    const [whale, sea] = [
      `> ${question('whale')}\n${answerOf('whale')}\n`,
      `> ${question('sea')}\n${answerOf('sea')}\n`,
    ];
    expect(stdout).toBe(
      `${answerOf('whale')}\n${answerOf('sea')}\n${answerOf('sea')}\n${whale}${sea}${whale}`,
    );
    expect(stderr).toContain('conversation is empty');
    expect(stderr).toMatch(/^error: .*nothing to undo/m);
    expect(code).toBe(1); // of a pipe in which a line failed
  });

  test('save a conversation as gpt train reads it, and load it', async () => {
    const file = join(folder, 'saved.jsonl');
    const saved = [question('whale'), `/save ${file}`, question('sea'), `/save ${file}`];
    expect((await chat(['--system', 'Say it', '--greedy'], ...saved)).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toMatch(/^.*\n$/);
    const messages = [
      { role: 'system', content: 'Say it' },
      { role: 'user', content: question('whale') },
      { role: 'assistant', content: answerOf('whale') },
      { role: 'user', content: question('sea') },
      { role: 'assistant', content: answerOf('sea') },
    ];
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ messages });
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);

    const [shown, third] = await turns([], `/load ${file}`, '/show', question('ship'));
    expect(shown).toEqual({ messages });
    expect(third).toMatchObject({ turn: 3, assistant: answerOf('ship') });
    const { stderr, code } = await chat([], question('sea'), `/save ${file}`);
    expect(stderr).toContain('saved.jsonl already exists');
    expect(code).toBe(1);
    const many = await chat([], `/load ${join(folder, 'dialogues.jsonl')}`);
    expect(many.stderr).toMatch(/first of 90 conversations/);
    const args = `train ${file} -q --max-iters 1 --n-layer 1 --n-head 1 --n-embd 8 --block-size 16 -o from-saved`;
    expect((await gpt(args)).code).toBe(0);
  });

  test('a conversation that ends with a message of the user is answered when it is loaded', async () => {
    writeFileSync(
      join(folder, 'open.jsonl'),
      JSON.stringify({ messages: [{ role: 'user', content: question('sea') }] }),
    );
    const [given, undone, next] = await turns([], '/load open.jsonl', '/undo', '/show', question('ship'));
    expect(given).toMatchObject({ turn: 1, assistant: answerOf('sea') });
    expect(undone).toEqual({ messages: [] });
    expect(next).toMatchObject({ turn: 1, assistant: answerOf('ship') });
  });

  test('the system message is set, shown and removed', async () => {
    const [set, removed, last] = await turns(
      [],
      '/system Say it',
      '/show',
      '/system',
      '/show',
      question('sea'),
    );
    expect(set).toEqual({ messages: [{ role: 'system', content: 'Say it' }] });
    expect(removed).toEqual({ messages: [] });
    expect(last).toMatchObject({ turn: 1 });
  });

  test('a message that starts with / needs a space before it', async () => {
    const [refused, given] = await turns([], '/etc is the whale?', ` /etc ${question('whale')}`);
    expect(refused.error).toMatchObject({ code: 'unknown-name' });
    expect(given).toMatchObject({ user: `/etc ${question('whale')}` });
  });

  test('bytes that are not UTF-8 end the session with an error', async () => {
    let end = (): void => {};
    const { stdout, stderr, code } = await gpt(['chat', 'chatter', '--greedy'], {
      feed: (stdin) => {
        stdin.write(`${question('sea')}\n`);
        end = () => void stdin.end(Buffer.from([0xff, 0x0a]));
      },
      onOutput: (output) => output.includes(answerOf('sea')) && end(),
    });
    expect(stdout).toBe(`${answerOf('sea')}\n`);
    expect(stderr).toMatch(/^error: stdin: .*UTF-8/);
    expect(code).toBe(1);
  });

  test('settings change as in gpt sample -i', async () => {
    const { stderr, stdout } = await chat(
      ['--greedy'],
      '/max-tokens 2',
      '/set top-k x',
      '/retri',
      '/set',
      '/help',
      question('sea'),
    );
    expect(stderr).toContain('max-tokens: 2\n');
    expect(stderr).toMatch(/^error: top-k.*"x"/m);
    expect(stderr).toMatch(/^hint: .*\/retry/m);
    expect(stderr).toMatch(/max-tokens +2\n/);
    expect(stderr).toMatch(/^ +\/load file /m);
    expect(stdout).toBe('The sea\n');
  });

  test.each([
    ['a file that is missing', '/load missing.jsonl', 'ENOENT', 'missing.jsonl'],
    ['a folder', '/load checkpoints', 'wrong-file-kind', 'checkpoints'],
    ['a file without JSON', '/load plain.txt', 'damaged-file', 'plain.txt'],
    ['another object', '/load other.jsonl', 'damaged-file', '"messages"'],
    ['messages in a wrong order', '/load order.jsonl', 'damaged-file', 'in a row'],
    ['an empty file', '/load empty.jsonl', 'empty-text', 'empty.jsonl'],
    ['a folder that is missing', '/save no/such/folder.jsonl', 'write-failed', 'no/such'],
    ['no file', '/save', 'missing-argument', '/save'],
    ['no message to answer again', '/retry', 'nothing-to-do', 'message'],
  ])('%s is an error that ends nothing', async (_what, command, code, mentioned) => {
    writeFileSync(join(folder, 'other.jsonl'), '{"text": "a"}\n');
    const user = { role: 'user', content: 'a' };
    writeFileSync(join(folder, 'order.jsonl'), `${JSON.stringify({ messages: [user, user] })}\n`);
    writeFileSync(join(folder, 'empty.jsonl'), '\n');
    const before = command.startsWith('/save') ? [question('whale')] : [];
    const given = await turns([], ...before, command, question('sea'));
    expect(given.at(-2)!.error).toMatchObject({ code });
    expect(given.at(-2)!.error!.message).toContain(mentioned);
    expect(given.at(-1)).toMatchObject({ assistant: answerOf('sea') });
  });
});

describe('a model', () => {
  test('without a chat template is refused, with what to do', async () => {
    await expectRefusal(
      ['chat', 'plain'],
      [
        1,
        'unsuitable-tokenizer',
        'checkpoints/plain … chat_template … train dialogues.jsonl … --chat-template',
      ],
      folder,
    );
  });

  test('without a chat template chats with one that is given', async () => {
    const { stdout, stderr, code } = await gpt(
      'chat plain --chat-template lines.jinja -n 5 --seed 1'.split(' '),
      lines('The sea'),
    );
    expect(stdout).toMatch(/^[^]{5}\n$/);
    expect(stderr).toMatch(/^warning: .*not trained on conversations/m);
    expect(code).toBe(0);
  });

  test('named twice, a template that is broken or missing, and a refusal of the template are errors', async () => {
    await expectRefusal(
      ['chat', 'chatter', 'What?', '-m', 'plain'],
      [2, 'conflicting-options', 'chatter … plain'],
      folder,
    );
    writeFileSync(join(folder, 'broken.jinja'), '{% for %}');
    await expectRefusal(
      ['chat', 'chatter', '--chat-template', 'broken.jinja'],
      [1, 'bad-template', 'broken.jinja'],
      folder,
    );
    await expectRefusal(
      ['chat', 'chatter', '--chat-template', 'no.jinja'],
      [1, 'ENOENT', 'no.jinja'],
      folder,
    );
    writeFileSync(
      join(folder, 'strict.jinja'),
      "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0]['content'] }}",
    );
    const [refused] = await turns(['--chat-template', 'strict.jinja', '--system', 'Say it'], 'sea');
    expect(refused.error).toMatchObject({ code: 'bad-template' });
    expect(refused.error!.message).toContain('no system');
  });
});

describe.skipIf(!hasTerminal)('on a terminal', () => {
  const onTerminal = (flags: string, keys: readonly (readonly [string, string])[]) =>
    gpt(`chat ${flags}`.split(' '), { tty: true, keys });

  test('Ctrl-C stops an answer, which stays; Ctrl-D ends the chat', async () => {
    const { stdout, code } = await onTerminal('plain --chat-template lines.jinja -n 100000', [
      ['> ', 'The sea\r'],
      ['The sea', ''],
      ['.', '\x03'],
      ['> ', '/show\r'],
      ['> The sea', ''],
      ['> ', '\x04'],
    ]);
    expect(stripVTControlCharacters(stdout)).toContain('> The sea');
    expect(stdout).not.toContain('is full');
    expect(code).toBe(0);
  });

  test('keeps a pasted block as one message, and completes commands', async () => {
    const { stdout, code } = await onTerminal('chatter --greedy', [
      ['> ', '\x1b[200~What is\rthe sea?\x1b[201~'],
      ['What is\\nthe sea?', '\r'],
      ['> ', '/sho\t'],
      ['/show ', '\r'],
      ['> What is', ''],
      ['> ', '/quit\r'],
    ]);
    expect(stripVTControlCharacters(stdout).replaceAll('\r', '')).toContain('> What is\nthe sea?\n');
    expect(code).toBe(0);
  });
});
