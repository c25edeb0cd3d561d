/** The commands in the pages: all of them parse; those of the README and the recipes of docs/pipelines.md run. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/program.ts';
import { gptCalls, recordingProgram } from '../cli/definitions.ts';
import { gpt, run } from '../cli/run.ts';
import { pages, readPage, root } from './pages.ts';

/** The shell of a page: its sh blocks, and the lines after a $ in its console blocks. */
function shellOf(page: string): string {
  const blocks = readPage(page).matchAll(/^```(sh|console)\n([^]*?)^```$/gm);
  return Array.from(blocks, ([, language, text]) =>
    language === 'sh' ? text : Array.from(text.matchAll(/^\$ (.*)$/gm), ([, line]) => `${line}\n`).join(''),
  ).join('\n');
}

const calls = pages.flatMap((page) =>
  gptCalls(shellOf(page)).map((words) => [page, words.join(' '), words] as const),
);

test.each(commands.map(({ name }) => name))('docs/commands.md has or names the section of gpt %s', (name) => {
  expect(readPage('docs/commands.md')).toMatch(new RegExp(`^## .*gpt ${name}\\b|\`gpt ${name}\``, 'm'));
});

test('the pages have commands', () => expect(calls.length).toBeGreaterThan(20));

test.each(calls)('%s: gpt %s', async (_page, _line, words) => {
  const { parse } = await recordingProgram();
  if (words.includes('--config')) return; // its file exists only where the recipes below run
  const withoutGpu = words.map((word) => (word === 'webgpu' ? 'cpu' : word));
  await expect(parse(withoutGpu)).resolves.toBeDefined();
});

/** Runs a script in a folder, with \`npx gpt\` and \`gpt-trainer\` being the program of this checkout. */
const bash = (script: string, cwd: string, setUp = '') =>
  run(
    [
      '-c',
      `program() { '${process.execPath}' '${gpt}' "$@"; }; npx() { shift; program "$@"; }; ${setUp}\n${script}`,
    ],
    { node: 'bash', script: '--norc', cwd },
  );

describe.skipIf(process.platform === 'win32')('the README', () => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'));
  const text = readFileSync(join(root, 'data/moby-dick.txt'), 'utf8').slice(0, 60_000);

  beforeAll(() => {
    mkdirSync(join(folder, 'data'));
    const dialogue = {
      messages: [
        { role: 'user', content: 'Hi.' },
        { role: 'assistant', content: 'Hello.' },
      ],
    };
    writeFileSync(join(folder, 'data/dialogues.jsonl'), `${JSON.stringify(dialogue)}\n`.repeat(400));
    mkdirSync(join(folder, 'examples'));
    copyFileSync(join(root, 'examples/dialogues.json'), join(folder, 'examples/dialogues.json'));
    mkdirSync(join(folder, 'docs'));
    for (const file of ['data/moby-dick.txt', 'book.txt', 'poems.txt', 'docs/README.md'])
      writeFileSync(join(folder, file), text);
  });

  /**
   * As they are printed, but for three things: trainings are cut short, what is read from a terminal is empty, and the
   * downloaded GPT-2 is a model trained before. \`npm\` is run by the package's tests and by every checkout.
   */
  test('runs command by command', { timeout: 120_000 }, async () => {
    const setUp = `
      set -e
      npx() {
        shift
        case "$*" in
          train*--minutes*) program "$@" --minutes 0.01 ;;
          train*) program "$@" --max-iters 5 --eval-iters 1 ;;
          *) program "$@" </dev/null ;;
        esac || { echo "failed: gpt $*" >&2; exit 1; }
      }
      gpt-trainer() { npx gpt "$@"; }
      npm() { :; }
      hf() { cp -r checkpoints/moby-dick-1 gpt2; }`;
    const { stderr, code } = await bash(shellOf('README.md'), folder, setUp);
    expect(stderr).not.toContain('failed:');
    expect(code, stderr).toBe(0);
    expect(readFileSync(join(folder, 'checkpoints/moby-dick-1/report.html'), 'utf8')).toContain('<html');
  });
});

describe.skipIf(process.platform === 'win32')('the recipes of docs/pipelines.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'recipes-'));
  const section = readPage('docs/pipelines.md').split('## Recipes')[1];
  const recipes = /```sh\n([^]*?)```/.exec(section)![1].split(/\n\n/);

  beforeAll(() => {
    mkdirSync(join(folder, 'books'));
    const book = (words: string[]): string =>
      Array.from(
        { length: 400 },
        (_, i) => `${words[(i * i + 3 * i) % words.length]} ${words[(i * 7) % words.length]}.\n`,
      ).join('');
    writeFileSync(join(folder, 'books/austen.txt'), book(['sense', 'and', 'pride', 'emma', 'park']));
    writeFileSync(join(folder, 'books/melville.txt'), book(['the', 'whale', 'sea', 'ship', 'harpoon']));
    writeFileSync(join(folder, 'letter.txt'), 'sense and pride.\ndamns rrrr kkkk.\nemma park.\n');
    const options = {
      'n-layer': 1,
      'n-head': 2,
      'n-embd': 32,
      'block-size': 16,
      'batch-size': 8,
      'max-iters': 100,
      'learning-rate': 3e-3,
    };
    writeFileSync(join(folder, 'run.json'), JSON.stringify(options));
  });

  test('are three', () => expect(recipes).toHaveLength(3));

  test('a training loop over several corpora', async () => {
    const { stderr, code } = await bash(recipes[0], folder);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const results = readFileSync(join(folder, 'results.jsonl'), 'utf8').trim().split('\n');
    expect(results.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { folder: 'models/austen', steps: 100 },
      { folder: 'models/melville', steps: 100 },
    ]);
  });

  test('a filter that scores lines by surprisal', async () => {
    const { stdout, stderr, code } = await bash(recipes[1], folder);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^[\d.]+\tdamns rrrr kkkk\.$/);
  });

  test('a sampler that feeds another program', async () => {
    const { stdout, stderr, code } = await bash(recipes[2], folder);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(5);
    expect(stdout).toMatch(/^ *\d+ (sense|and|pride|emma|park)$/m);
  });
});

describe.skipIf(process.platform === 'win32')('the section on LoRA of docs/open-models.md', () => {
  test('runs from training to the exported model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lora-docs-'));
    writeFileSync(join(folder, 'poems.txt'), 'The sea, the stars, the rain.\n'.repeat(80));
    const [block] = /```sh\n[^]*?```/.exec(
      readPage('docs/open-models.md').split('## Fine-tune with LoRA')[1],
    )!;
    const setUp = `
      set -e
      npx() {
        shift
        case "$*" in
          train*--resume*) program "$@" --max-iters 8 ;;
          train*) program "$@" --max-iters 6 --eval-iters 1 ;;
          *) program "$@" </dev/null ;;
        esac || { echo "failed: gpt $*" >&2; exit 1; }
      }
      program train poems.txt --arch llama --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --max-iters 3 -q -o base`;
    const { stderr, code } = await bash(block.replaceAll(/```(sh)?/g, ''), folder, setUp);
    expect(stderr).not.toContain('failed:');
    expect(code, stderr).toBe(0);
    expect(readFileSync(join(folder, 'poems-merged/config.json'), 'utf8')).toContain('LlamaForCausalLM');
  });
});
