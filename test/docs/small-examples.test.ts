/** Pages whose numbers need no trained model have those that scripts/small-examples.js prints; what they quote is in the source. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { numbersOf, printedNumbers, staleNumbers } from './numbers.ts';
import { pages, readPage, root } from './pages.ts';

/** Numbers of a page that come from elsewhere: papers and settings. */
const fromElsewhere: Readonly<Record<string, readonly string[]>> = {
  'rotary.md': ['0.01'], // the speed of pair 1 in a head of 4
  'grouped-queries.md': ['1,024'], // channels of Qwen3-0.6B
  // Settings, and losses of runs that take minutes: of the command on the page, and of recipe.md's with these options.
  'averaging.md': [
    ...'0.98 0.995 0.998 0.02 1,991 1,600'.split(' '),
    ...'2.6035 2.5969 2.4977 2.4697 2.4559 2.4070 2.2792 2.2682 2.1983 2.1356 2.0937 2.0417 2.1038'.split(
      ' ',
    ),
    ...'1.755 1.658 1.644 1.642 1.574 1.569 1.567 0.11 0.007 1.668 1.591 1.600'.split(' '),
  ],
};

/** Numbers of a page that docs/recipe-experiments.md has measured. */
const fromRecipe: Readonly<Record<string, readonly string[]>> = {
  'rotary.md': ['1.616'],
  'grouped-queries.md': ['1,000', '1.607', '1.614', '1.623', '1.611', '1.616'],
};

const output = execFileSync(process.execPath, ['scripts/small-examples.js'], { cwd: root, encoding: 'utf8' });

test.each(Object.keys(fromElsewhere))('%s has the numbers that the script prints', (page) => {
  const printed = printedNumbers(output);
  const known = [...fromElsewhere[page], ...(fromRecipe[page] ?? [])];
  expect(staleNumbers(readPage(`docs/understanding/${page}`), printed, known)).toEqual([]);
});

test.each(Object.entries(fromRecipe))('%s has the losses of the recipe', (page, numbers) => {
  for (const where of ['docs/recipe-experiments.md', `docs/understanding/${page}`])
    expect(numbersOf(readPage(where))).toEqual(expect.arrayContaining([...numbers]));
});

const unindented = (text: string): string => text.replaceAll(/^ +/gm, '').trim();

test.each(pages.filter((page) => page.startsWith(join('docs', 'understanding'))))(
  '%s quotes code of the files that it links to',
  (page) => {
    const text = readPage(page);
    const linked = Array.from(text.matchAll(/\]\(\.\.\/\.\.\/(src\/[^)]*\.ts)\)/g), ([, file]) =>
      unindented(readFileSync(join(root, file), 'utf8')),
    );
    for (const [, quoted] of text.matchAll(/^```ts\n([^]*?)^```$/gm))
      expect(
        linked.filter((source) => source.includes(unindented(quoted))),
        quoted,
      ).not.toEqual([]);
  },
);
