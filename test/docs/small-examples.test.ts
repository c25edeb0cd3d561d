/** Pages whose numbers need no trained model have those that scripts/small-examples.js prints; what they quote is in the source. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { printedNumbers, staleNumbers } from './numbers.ts';
import { pages, readPage, root } from './pages.ts';

/** Numbers of a page that come from elsewhere: papers and settings. */
const fromElsewhere: Readonly<Record<string, readonly string[]>> = {
  'rotary.md': ['0.01'], // the speed of pair 1 in a head of 4
  'grouped-queries.md': ['1,024'], // channels of Qwen3-0.6B
};

const output = execFileSync(process.execPath, ['scripts/small-examples.js'], { cwd: root, encoding: 'utf8' });

test.each(Object.keys(fromElsewhere))('%s has the numbers that the script prints', (page) => {
  const printed = printedNumbers(output);
  expect(staleNumbers(readPage(`docs/understanding/${page}`), printed, fromElsewhere[page])).toEqual([]);
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
