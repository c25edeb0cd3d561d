/** docs/options.md is what scripts/options-page.js writes. */
import { expect, test } from 'vitest';
import { readPage } from './pages.ts';

/** A variable, so that the compiler does not look for types. */
const script = '../../scripts/options-page.js';

test('the reference of options is up to date: npm run build && node scripts/options-page.js', async () => {
  const { optionsPage } = (await import(script)) as {
    readonly optionsPage: () => Promise<string>;
  };
  expect(readPage('docs/options.md')).toBe(await optionsPage());
});
