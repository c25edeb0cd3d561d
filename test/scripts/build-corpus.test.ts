import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const corpus = path('../../data/moby-dick.txt');
const build = () => execFileSync(process.execPath, [path('../../scripts/build-corpus.js')]);

it('the corpus script writes the chapters in order, with the same bytes on every platform', () => {
  build();
  const bytes = readFileSync(corpus);
  // What the published losses and speeds were measured on.
  expect(bytes.length).toBe(1_216_552);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(
    'e8c8da17fb9266f99fdf6fe5931ea3d985d3a60126f3535fc4d6ab2314e6df82',
  );

  const text = bytes.toString();
  const chapters = [...text.matchAll(/^CHAPTER (\d+)\. /gm)].map(([, number]) => Number(number));
  expect(chapters).toEqual(Array.from({ length: 135 }, (_, i) => i + 1));
  expect(text).toMatch(/^ETYMOLOGY\./);
  expect(text).toContain('\n\n\nCHAPTER 1. Loomings.\n\nCall me Ishmael.');
  expect(text).toMatch(/another orphan\.\n$/);
});

it('the corpus script leaves an existing file alone', () => {
  build();
  const before = statSync(corpus).mtimeMs;
  build();
  expect(statSync(corpus).mtimeMs).toBe(before);
});
