/** The numbers of docs/understanding are those that scripts/worked-examples.js prints for the model that docs/README.md trains. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { gpt } from '../cli/run.ts';
import { printedNumbers, staleNumbers } from './numbers.ts';
import { readPage, root } from './pages.ts';

/** Numbers of a page that come from elsewhere: constants of formulas, other commands, measurements. */
const fromElsewhere: Readonly<Record<string, readonly string[]>> = {
  'attention.md': ['9,744', '7,243'], // bench/growth.md
  'block.md': ['0.044715', '99.6%'], // GELU's constant; gpt plan --preset gpt3-175b
  'gradient-descent.md': ['4.50', '3.06', '0.1'], // ln 90; gpt eval --baselines; the weight decay
  'embeddings.md': ['0.02'], // the standard deviation of the initialization
  'positions.md': ['0.02'],
  'sampling.md': ['1.01', '2.75', '0.498', '0.5', '0.9', '0.99'], // differences and settings
  'reverse-mode.md': ['5.9'], // gpt gradcheck
  'one-derivative-each.md': [],
  'rms-norm-and-swiglu.md': [],
  // The momentum; the embedding's standard deviation; measured runs; the operations of another form; bench/strands.js.
  'muon.md':
    '0.95 0.8 1,991 1.557 1.579 400 0.001 1.843 1.856 1.873 2.64 1,000 1.635 1.622 1.627 1.628 1.626 1.620 1.618 1.621 1.52'.split(
      ' ',
    ),
};
const pages = Object.keys(fromElsewhere);
/** Pages that have numbers of scripts/small-examples.js as well. */
const pagesWithSmallExamples = new Set(['rms-norm-and-swiglu.md', 'muon.md']);

describe('worked examples', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  const isFused = backend.variant !== 'simd'; // the build without fused multiply-add rounds differently
  await backend.close();
  const folder = mkdtempSync(join(tmpdir(), 'worked-examples-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  let output = '';
  let printed: number[] = [];
  let printedSmall: number[] = [];

  beforeAll(() => {
    const line = /^npx gpt (train data\/moby-dick\.txt .*) -o checkpoints\/docs$/m.exec(
      readFileSync(join(root, 'docs/README.md'), 'utf8'),
    )!;
    const model = join(folder, 'docs');
    const node = (...args: string[]): string =>
      execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    node(gpt, ...line[1].split(' '), '--sample-tokens', '0', '-o', model);
    output = node('scripts/worked-examples.js', model, '--no-figures').replaceAll('−', '-');
    printed = printedNumbers(output);
    printedSmall = printedNumbers(node('scripts/small-examples.js'));
  }, 180_000);

  test.skipIf(!isFused).each(pages)('%s has the numbers that the script prints', (page) => {
    const known = pagesWithSmallExamples.has(page) ? [...printed, ...printedSmall] : printed;
    const stale = staleNumbers(readPage(`docs/understanding/${page}`), known, fromElsewhere[page]);
    expect(stale).toEqual([]);
  });

  test('instructions, kernels and operations are those of the programs that run', () => {
    const counts = Array.from(
      output.matchAll(
        /: (\d+) parameters; (\d+) \+ (\d+) instructions of (\d+) kernels; per token ([\d.]+) \+ ([\d.]+) MFLOP, 6N = ([\d.]+)/g,
      ),
      (match) => match.slice(1).map(Number),
    );
    const text = (x: number): string => x.toLocaleString('en-US');
    const table = readPage('docs/understanding/one-derivative-each.md').replaceAll(/ +/g, ' ');
    for (const [parameters, forward, backward, kernels] of counts)
      expect(table).toContain(`| ${text(parameters)} | ${text(forward)} | ${text(backward)} | ${kernels} |`);

    const [[, forward, backward, , forwardFlops, backwardFlops, sixN], gpt2] = counts;
    const reverse = readPage('docs/understanding/reverse-mode.md');
    expect(reverse).toContain(`${forward} forward and ${backward} backward instructions`);
    expect(reverse).toContain(
      `${forwardFlops} million FLOPs per token, the backward pass ${backwardFlops} million`,
    );
    const scale = readPage('docs/understanding/scale.md');
    const sum = (forwardFlops + backwardFlops).toFixed(2);
    expect(scale).toContain(
      `nano takes ${forwardFlops} + ${backwardFlops} = ${sum} million per token, against ${sixN} by 6N, and GPT-2 ${Math.round(gpt2[4] + gpt2[5])} million against ${Math.round(gpt2[6])}`,
    );
  });
});
