/** What the pages say one can type: it parses, and the recipes of the README run. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { gptCalls, recordingProgram } from '../cli/definitions.ts';
import { gpt, run } from '../cli/run.ts';
import { pages, readPage, root } from './pages.ts';

/** The shell in a page: all of its sh blocks, and what stands behind a $ in its console blocks. */
function shellOf(page: string): string {
  const blocks = readPage(page).matchAll(/^```(sh|console)\n([^]*?)^```$/gm);
  return Array.from(blocks, ([, language, text]) =>
    language === 'sh' ? text : Array.from(text.matchAll(/^\$ (.*)$/gm), ([, line]) => `${line}\n`).join(''),
  ).join('\n');
}

const calls = pages.flatMap((page) =>
  gptCalls(shellOf(page)).map((words) => [page, words.join(' '), words] as const),
);

test('the pages say what one can type', () => expect(calls.length).toBeGreaterThan(20));

test.each(calls)('%s: gpt %s', async (_page, _line, words) => {
  const { parse } = await recordingProgram();
  if (words.includes('--config')) return; // reads a file that is not there; the recipes below do have theirs
  await expect(parse(words)).resolves.toBeDefined();
});

describe.skipIf(process.platform === 'win32')('recipes of the README', () => {
  const folder = mkdtempSync(join(tmpdir(), 'recipes-'));
  const section = readFileSync(join(root, 'README.md'), 'utf8')
    .split('### In a pipeline')[1]
    .split('\n###')[0];
  const recipes = /```sh\n([^]*?)```/.exec(section)![1].split(/\n\n/);
  /** With \`npx gpt\` being the program of this checkout. */
  const bash = (script: string) =>
    run(['-c', `npx() { shift; '${process.execPath}' '${gpt}' "$@"; }; ${script}`], {
      node: 'bash',
      script: '--norc',
      cwd: folder,
    });

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

  test('there are three', () => expect(recipes).toHaveLength(3));

  test('a training loop over several corpora', async () => {
    const { stderr, code } = await bash(recipes[0]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const results = readFileSync(join(folder, 'results.jsonl'), 'utf8').trim().split('\n');
    expect(results.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { folder: 'models/austen', steps: 100 },
      { folder: 'models/melville', steps: 100 },
    ]);
  });

  test('a filter that scores lines by surprisal', async () => {
    const { stdout, stderr, code } = await bash(recipes[1]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^[\d.]+\tdamns rrrr kkkk\.$/);
  });

  test('a sampler that feeds another program', async () => {
    const { stdout, stderr, code } = await bash(recipes[2]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(5);
    expect(stdout).toMatch(/^ *\d+ (sense|and|pride|emma|park)$/m);
  });
});
