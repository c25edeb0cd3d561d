/** What takes over a second names itself on a terminal, is gone afterwards, and leaves a pipe alone. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { whaleText } from '../fixtures/whale-text.ts';
import { hasTerminal, run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'activity-'));
const gpt = (line: string, tty = true) => run(line.split(' '), { cwd: folder, tty });
const tiny = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --sample-tokens 0';

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), whaleText(200));
  await gpt(`train corpus.txt ${tiny} --max-iters 5 -q -o run`, false);
});

describe.runIf(hasTerminal)('on a terminal', () => {
  test.each([
    ['train', `train corpus.txt ${tiny} --minutes 0.01 --overwrite -o timed`, ['measuring this machine']],
    ['plan', 'plan --preset nano', ['measuring this machine']],
    ['report', 'report run', ['reading the weights', 'running the model', 'mapping the embeddings']],
    ['compare', 'compare run run', ['reading run, 1 of 2', 'reading run, 2 of 2']],
    ['inspect', 'inspect run', ['reading the weights']],
    ['eval --baselines', 'eval corpus.txt -m run --baselines', ['measuring the baselines']],
    [
      'eval --memorization',
      'eval --memorization -m run --num-samples 1 --max-tokens 20',
      ['looking for copies in the training text'],
    ],
  ])('%s', async (_name, line, activities) => {
    const { stdout, code } = await gpt(line);
    expect(code).toBe(0);
    for (const activity of activities) expect(stdout).toContain(`${activity} …`);
    // Erased: the cursor goes to the first column, and the line is cleared.
    const after = stdout.slice(stdout.lastIndexOf(` …`));
    expect(after).toContain('\u001b[2K');
  });
});

test('a pipe gets none of it', async () => {
  expect(await gpt('compare run run', false)).toMatchObject({ stderr: '', code: 0 });
});
