import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];
const read = (page: string): string => readFileSync(join(root, page), 'utf8');

/** GitHub's name for a heading. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (page: string): Set<string> =>
  new Set(Array.from(read(page).matchAll(/^#+ (.*)$/gm), ([, heading]) => anchor(heading)));

test.each(pages)('%s: every link leads somewhere', (page) => {
  const text = read(page);
  const targets = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target);
  for (const target of targets.filter((each) => !/^[a-z]+:/.test(each))) {
    const [path, fragment] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    expect(existsSync(join(root, file)), `${page} links to ${target}`).toBe(true);
    if (fragment !== undefined) expect(anchorsOf(file), `${page} links to ${target}`).toContain(fragment);
  }
});

test.each(pages)('%s: every path that it names exists', (page) => {
  const named = read(page).matchAll(/`((?:src|test|scripts|bench|examples|docs)\/[^`\s*…<]*)`/g);
  for (const [, path] of named) expect(existsSync(join(root, path)), `${page} names ${path}`).toBe(true);
});

test('every page can be reached from the README', () => {
  const reached = new Set<string>();
  const visit = (page: string): void => {
    if (reached.has(page)) return;
    reached.add(page);
    for (const [, target] of read(page).matchAll(/\]\(([^)#\s]+\.md)/g)) {
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
