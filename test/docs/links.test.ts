import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { pages, readPage, root } from './pages.ts';

/** GitHub's name for a heading. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (page: string): Set<string> =>
  new Set(Array.from(readPage(page).matchAll(/^#+ (.*)$/gm), ([, heading]) => anchor(heading)));

test.each(pages)('%s: every link has a target', (page) => {
  const text = readPage(page);
  const targets = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target);
  for (const target of targets.filter((each) => !/^[a-z]+:/.test(each))) {
    const [path, fragment] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    expect(existsSync(join(root, file)), `${page} links to ${target}`).toBe(true);
    if (fragment !== undefined) expect(anchorsOf(file), `${page} links to ${target}`).toContain(fragment);
  }
});

test.each(pages)('%s: every path it mentions exists', (page) => {
  const named = readPage(page).matchAll(/`((?:src|test|scripts|bench|examples|docs)\/[^`\s*…<]*)`/g);
  for (const [, path] of named) expect(existsSync(join(root, path)), `${page} names ${path}`).toBe(true);
});

test('every page can be reached from the README', () => {
  const reached = new Set<string>();
  const visit = (page: string): void => {
    if (reached.has(page)) return;
    reached.add(page);
    for (const [, target] of readPage(page).matchAll(/\]\(([^)#\s]+\.md)/g)) {
      const file = join(dirname(page), target);
      if (
        !/^[a-z]+:/.test(target) &&
        resolve(root, file).startsWith(root) &&
        statSync(join(root, file)).isFile()
      )
        visit(file);
    }
  };
  visit('README.md');
  expect(pages.filter((page) => !reached.has(page))).toEqual([]);
});
