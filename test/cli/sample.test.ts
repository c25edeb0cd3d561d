import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { whaleText } from '../fixtures/whale-text.ts';
import { commandsIn, expectRefusal } from './in-process.ts';
import { hasTerminal, type RunOptions } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'sample-'));
const text = whaleText(400);
const model = join(folder, 'checkpoints/corpus-1');

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  const shape = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 40';
  const { code, stderr } = await gpt(`train corpus.txt -q --warmup-iters 2 ${shape}`);
  expect(code, stderr).toBe(0);
}, 60_000);

const gpt = commandsIn(folder);
const sample = (flags: string, options?: RunOptions) =>
  gpt(['sample', '-m', model, ...flags.split(' ').filter((flag) => flag !== '')], options);

interface Line {
  readonly index: number;
  readonly sample: number;
  readonly prompt: string;
  readonly text: string;
  readonly finish_reason: string;
  readonly logprob: number;
  readonly tokens: { id: number; text: string; logprob: number; top: { id: number; logprob: number }[] }[];
}
const jsonLines = (stdout: string): Line[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

describe('a text', () => {
  test('continues the prompt with the newest model, the same for the same seed', async () => {
    const prompted = (flags: string) => gpt(['sample', '--prompt', 'the wh', ...flags.split(' ')]);
    const first = await prompted('--seed 5 -n 60');
    expect(first.stderr).toMatch(/^.*newest.* checkpoints\/corpus-1\n$/);
    expect(first.stdout).toMatch(/^the wh[^]{60}\n$/);
    expect((await prompted('--seed 5 -n 60 --threads 1')).stdout).toBe(first.stdout);
    expect((await prompted('--seed 6 -n 60')).stdout).not.toBe(first.stdout);
    expect((await prompted('--greedy -n 20')).stdout).toBe(
      (await prompted('--top-k 1 --seed 9 -n 20')).stdout,
    );
  });

  test('is the same for the same seed with weights in q8, whatever the number of threads', async () => {
    const wide = '--n-layer 1 --n-head 2 --n-embd 32 --block-size 16 --batch-size 4 --max-iters 20';
    await gpt(`train corpus.txt -q --warmup-iters 2 ${wide} -o wide`.split(' '));
    const written = async (flags: string) =>
      (await gpt(`sample the -m wide --seed 5 -n 60 --weights q8 ${flags}`.split(' '))).stdout;
    const first = await written('--num-samples 3');
    expect(first).toBe(await written('--num-samples 3 --threads 1'));
    expect(first).toContain((await written('--num-samples 1')).trimEnd());
  });

  test('takes its prompt as an argument, and the model by the name of its run', async () => {
    const named = (args: string[]) => gpt(['sample', '-m', 'corpus-1', '--seed', '5', ...args]);
    const { stdout, stderr, code } = await named(['the wh', '-n', '20']);
    expect(stdout).toBe(
      (await gpt(['sample', '-m', model, '-p', 'the wh', '-n', '20', '--seed', '5'])).stdout,
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const sampled = ['sample', '-m', 'corpus-1'];
    await expectRefusal(
      [...sampled, 'the', '--prompt', 'sea'],
      [2, 'conflicting-options', '"the" … --prompt'],
      folder,
    );
    await expectRefusal(
      [...sampled, 'checkpoints/corpus-1'],
      [2, 'bad-option-value', '"checkpoints/corpus-1" … --model … --prompt "checkpoints/corpus-1"'],
      folder,
    );
    await expectRefusal([...sampled, ''], [2, 'empty-text', '--prompt'], folder);
    expect((await gpt('inspect corpus-1')).code).toBe(0);
    expect((await gpt('eval corpus.txt -m corpus-1')).code).toBe(0);
    expect((await gpt('report corpus-1 -o -')).code).toBe(0);
    await expectRefusal('sample -m corpus-2 the'.split(' '), [1, 'file-not-found', 'corpus-2'], folder);
  });

  test('takes its prompt from a pipe or a file, without the final line break', async () => {
    const piped = await sample('--num-samples 2 -n 5', { stdin: 'white\n' });
    expect(piped.stdout).toMatch(/^--- sample 1\nwhite[^]{5}\n\n--- sample 2\nwhite[^]{5}\n$/);
    writeFileSync(join(folder, 'prompt.txt'), 'a man\n');
    const { stdout } = await sample(`--prompt-file ${join(folder, 'prompt.txt')} -n 5`);
    expect(stdout).toMatch(/^a man[^]{5}\n$/);
  });

  test('an unknown character is refused by name and position, or replaced with --unk', async () => {
    await expectRefusal(
      ['sample', '-m', model, '--prompt', 'the é whale'],
      [1, 'not-in-vocabulary', '"é" … U+00E9 … position 5 … --unk skip'],
    );
    const skipped = await sample('--prompt é --unk replace -n 3');
    expect(skipped.code).toBe(0);
    expect(skipped.stderr).toMatch(/^.*\b1 unknown token\b/m);
  });

  test('a prompt longer than the context loses its start, with a notice', async () => {
    const prompt = 'the whale and the sea.';
    const { stdout, stderr } = await gpt(['sample', '-m', model, '--prompt', prompt, '-n', '3']);
    expect(stderr).toMatch(/\b22 tokens.*\b16\b/);
    expect(stdout.startsWith(prompt)).toBe(true);
  });

  test('ends before a stop string, wherever token boundaries are', async () => {
    const long = (await sample('-p the --seed 3 -n 60')).stdout.trimEnd();
    const stop = long.slice(20, 23);
    const end = long.indexOf(stop, 3);
    const escaped = stop.replaceAll('\n', '\\n');
    const cut = await gpt([
      'sample',
      '-m',
      model,
      '-p',
      'the',
      '--seed',
      '3',
      '-n',
      '60',
      '--stop',
      'Q',
      '--stop',
      escaped,
    ]);
    expect(cut.stdout).toBe(`${long.slice(0, end)}\n`);
  });

  test('<unk> is sampled only with --allow-unk', async () => {
    const written = async (flags: string): Promise<number[]> => {
      const { stdout } = await sample(
        `-p the --seed 1 -n 400 --temperature 50 --json --alternatives 0 ${flags}`,
      );
      return jsonLines(stdout)[0].tokens.map(({ id }) => id);
    };
    const unk = (
      JSON.parse(readFileSync(join(model, 'tokenizer.json'), 'utf8')) as {
        model: { vocab: Record<string, number> };
      }
    ).model.vocab['<unk>'];
    expect(await written('')).not.toContain(unk);
    expect(await written('--allow-unk')).toContain(unk);
  });

  test('without a model, the hint is to train one', async () => {
    mkdirSync(join(folder, 'empty'), { recursive: true });
    await expectRefusal(
      ['sample', 'x'],
      [1, 'file-not-found', 'checkpoints/ … gpt train corpus.txt'],
      join(folder, 'empty'),
    );
  });
});

describe('for programs', () => {
  test('--json has the probability of each token and its alternatives', async () => {
    const { stdout, stderr } = await sample('-p the -n 8 --seed 4 --json --alternatives 3 --num-samples 2');
    expect(stderr).toBe('');
    const plain = await sample('-p the -n 8 --seed 4');
    const lines = jsonLines(stdout);
    expect(lines.map((line) => line.sample)).toEqual([0, 1]);
    expect(`the${lines[0].text}\n`).toBe(plain.stdout);
    for (const { tokens, text: written, logprob, finish_reason: reason } of lines) {
      expect(reason).toBe('length');
      expect(tokens.map((token) => token.text).join('')).toBe(written);
      expect(logprob).toBeCloseTo(
        tokens.reduce((sum, token) => sum + token.logprob, 0),
        10,
      );
      for (const { id, logprob: own, top } of tokens) {
        expect(top.length).toBe(3);
        expect(top.every((other, i) => i === 0 || other.logprob <= top[i - 1].logprob)).toBe(true);
        expect(own).toBeLessThanOrEqual(top[0].logprob);
        expect(top.find((other) => other.id === id)?.logprob ?? own).toBe(own);
      }
    }
  });

  test('--prompts writes one result per line, independent of the other lines', async () => {
    const prompts = ['the wh', '', 'a man', 'sea', 'of white'];
    const { stdout, code } = await sample('--prompts - -n 9 --seed 2', { stdin: prompts.join('\r\n') });
    expect(code).toBe(0);
    const lines = jsonLines(stdout);
    expect(lines.map(({ prompt, index }) => [index, prompt])).toEqual([...prompts.entries()]);
    const others = await sample('--prompts - -n 9 --seed 2 --threads 1', { stdin: 'a\ne\n\nsea\n' });
    expect(jsonLines(others.stdout)[3]).toEqual(lines[3]);
    const alone = await gpt(['sample', '-m', model, '-p', 'the wh', '-n', '9', '--seed', '2']);
    expect(alone.stdout).toBe(`the wh${lines[0].text}\n`);
  });

  test('--prompts samples each text independently, including equal prompts and several samples', async () => {
    const { stdout } = await sample('--prompts - -n 12 --seed 1 --temperature 2 --num-samples 2', {
      stdin: 'the\n'.repeat(20),
    });
    const texts = jsonLines(stdout).map((line) => line.text);
    expect(texts.length).toBe(40);
    expect(new Set(texts).size).toBe(40);
  });

  test('--prompts writes the results before a bad line, then the error', async () => {
    const { stdout, stderr, code } = await sample('--prompts - -n 3', { stdin: 'the\nsea\na é\nman\n' });
    expect(jsonLines(stdout).map(({ prompt }) => prompt)).toEqual(['the', 'sea']);
    expect(stderr).toMatch(/^error: .*"é" \(U\+00E9\).*position 3.*line 3\n/);
    expect(code).toBe(1);
    const binary = join(model, 'model.safetensors');
    await expectRefusal(['sample', '-m', model, '--prompts', binary], [1, 'not-text', binary]);
  });

  test('beam search prints the likeliest text first', async () => {
    const { stdout } = await sample('-p the -n 6 --beams 4 --num-samples 3 --json');
    const found = jsonLines(stdout);
    expect(found.length).toBe(3);
    expect(found.every(({ logprob }, i) => i === 0 || logprob <= found[i - 1].logprob)).toBe(true);
    const greedy = jsonLines((await sample('-p the -n 6 --greedy --json')).stdout)[0];
    expect(found[0].logprob).toBeGreaterThanOrEqual(greedy.logprob);
  });

  test.each([
    ['--beams 4 --temperature 1', 'conflicting-options', '--beams', '--temperature'],
    ['--beams 2 --num-samples 3', 'bad-option-value', '--num-samples 3', '--beams 2'],
    ['--length-penalty 2', 'conflicting-options', '--length-penalty', 'beam'],
    ['--top-p 2', 'bad-option-value', '--top-p', '"2"', '0 to 1'],
    ['--repetition-penalty 0', 'bad-option-value', '--repetition-penalty', '"0"'],
    ['--json --show-probs', 'commander.conflictingOption', '--json', '--show-probs'],
    ['--prompts x -p y', 'commander.conflictingOption', '--prompts', '--prompt'],
    ['--beams 17', 'bad-option-value', '--beams', '"17"', '16'],
  ])('refuses %s', async (flags, errorCode, ...mentioned) => {
    await expectRefusal(['sample', '-m', model, ...flags.split(' ')], [2, errorCode, ...mentioned]);
  });
});

describe('probabilities', () => {
  const flags = '-p the -n 6 --seed 1 --show-probs --alternatives 2';
  test('without colors are a table', async () => {
    const { stdout } = await sample(flags);
    const [, ...rows] = stdout.slice(stdout.indexOf('  token')).trimEnd().split('\n');
    expect(stdout).not.toContain('\x1b');
    expect(rows.length).toBe(6);
    for (const row of rows) expect(row).toMatch(/^ {2}"[^]+" +[\d.]+% {2}"/);
  });
  test('with colors have a legend', async () => {
    const { stdout } = await sample(flags, { env: { FORCE_COLOR: '1' } });
    expect(stdout).toContain('less than 1%');
    expect(stripVTControlCharacters(stdout)).toContain(
      (await sample('-p the -n 6 --seed 1')).stdout.trimEnd(),
    );
  });
});

describe('the interactive mode', () => {
  const lines = (...typed: string[]): RunOptions => ({ stdin: typed.map((line) => `${line}\n`).join('') });

  test('continues, retries, undoes and starts over', async () => {
    const typed = ['the', '', '/retry', '/undo', '/show', '/new sea', '/show'];
    const { stdout, stderr, code } = await sample('-i -n 4 --seed 1', lines(...typed));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const shape =
      /^the(?<one>[^]{4})\n(?<two>[^]{4})\n(?<again>[^]*)\nthe\k<one>\k<two>\nthe\k<one>\k<two>\nsea(?<other>[^]{4})\nsea\k<other>\n$/;
    expect(stdout).toMatch(shape);
    const { one, two, again } = shape.exec(stdout)!.groups!;
    expect(again.endsWith(two)).toBe(false);
    expect(again.length).toBeGreaterThanOrEqual(4);
    expect((await sample('-p the -n 4 --seed 1')).stdout).toBe(`the${one}\n`);
  });

  test('changes settings, edits, saves and survives wrong commands', async () => {
    const file = join(folder, 'saved.txt');
    const typed = [
      '/max-tokens 2',
      '/set stop .',
      '/set top-k x',
      '/retri',
      '/edit a\\nb',
      `/save ${file}`,
      `/save ${file}`,
      `/save ${join(folder, 'corpus.txt')}`,
      '/set',
      '/exit', // the same as /quit
      'the',
    ];
    const { stdout, stderr, code } = await sample('-i --seed 1', lines(...typed));
    expect(code).toBe(1); // of a pipe in which a line failed
    expect(stdout).toBe('a\nb\n');
    expect(readFileSync(file, 'utf8')).toBe('a\nb');
    expect(stderr).toContain('max-tokens: 2\nstop: "."\n');
    expect(stderr).toMatch(/^error: top-k.*"x"/m);
    expect(stderr).toMatch(/^error: .*\/retri\nhint: .*\/retry/m);
    expect(stderr).toMatch(/^error: .*corpus\.txt\b/m);
    expect(stderr).toMatch(/max-tokens +2\n/);
  });

  test('text outside the vocabulary is an error that changes nothing', async () => {
    const { stdout, stderr } = await sample('-i -n 2', lines('/edit the', 'é', '/show'));
    expect(stderr).toContain('vocabulary lacks "é"');
    expect(stdout).toBe('the\nthe\n');
  });

  test('--pick lets the user choose each token', async () => {
    const { stdout, stderr } = await sample(
      '--pick -p the --seed 1',
      lines('1', '2', '9999', '', 'q', '/show'),
    );
    const [choices, second] = stderr.split('\n').filter((line) => line.startsWith('1 "'));
    const tokenOf = (line: string, digit: number): string =>
      JSON.parse(new RegExp(`(?:^|  )${digit} ("(?:[^"\\\\]|\\\\.)*")`).exec(line)![1]) as string;
    expect(stdout).toContain(tokenOf(choices, 1) + tokenOf(second, 2));
    expect(stdout.trimEnd().split('\n').at(-1)!.length).toBeGreaterThan(0);
    expect(stdout).toContain(`the${tokenOf(choices, 1)}${tokenOf(second, 2)}`);
    expect(stderr).toContain('"9999" is not one of these keys');
  });

  test.skipIf(!hasTerminal)(
    'keeps all lines of a paste, marked by the terminal or not, and asks for marks only on a line',
    async () => {
      const { stdout, code } = await sample('-i -n 1 --seed 1', {
        tty: true,
        keys: [
          ['> ', '\x1b[200~the\rwhale\r\x1b[201~'],
          ['the\\nwhale\\n', 'sea\r'],
          ['> ', 'a man\rof white\r'],
          ['> ', '/show\r'],
          ['> ', '/quit\r'],
        ],
      });
      expect(code).toBe(0);
      const shown = stripVTControlCharacters(stdout).replaceAll('\r', '');
      expect(shown).toMatch(/the\nwhale\nsea[^]a man\nof white[^]\n> \/quit/);
      const modes = stdout
        .split('\u001b[?2004')
        .slice(1)
        .map((mode) => mode[0]);
      expect(modes.join('')).toBe('hl'.repeat(4));
    },
  );

  test.skipIf(!hasTerminal)('wraps at words: the start of a word that does not fit is erased', async () => {
    const words = 'harpoon '.repeat(9); // 72 columns
    const { stdout } = await sample('-i -n 1 --seed 1', {
      tty: true,
      keys: [
        ['> ', `/edit ${words}whale of\r`],
        ['> ', '/show\r'],
        ['whale', '/quit\r'],
      ],
    });
    expect(stdout).toContain('\u001b[1D\u001b[K\r\n');
    expect(stdout).not.toContain('\\x1b');
  });

  test.skipIf(!hasTerminal).each([
    ['', false],
    [' --alternatives 2', true],
  ])('colors tokens on a terminal; with%s, alternatives: %s', async (flags, hasTable) => {
    const { stdout } = await sample(`-i -n 3 --seed 1 --show-probs${flags}`, {
      tty: true,
      keys: [
        ['> ', 'the\r'],
        ['less than 1%', '/quit\r'],
      ],
    });
    expect(stripVTControlCharacters(stdout).includes('prob  alternatives')).toBe(hasTable);
  });

  test.skipIf(!hasTerminal)('Ctrl-C stops the model, Ctrl-D ends the session', async () => {
    const { stdout, code } = await sample('-i -n 100000000 -p harpoon', {
      tty: true,
      keys: [
        ['harpoon', '\x03'],
        ['> ', '/max-tokens 3\r'],
        ['max-tokens: 3', ''],
        ['> ', '\x04'],
      ],
    });
    expect(stdout).toContain('max-tokens: 3');
    expect(code).toBe(0);
  });
});
