import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { expect, test } from 'vitest';

// Nothing else notices when a module of the program no longer exports what they import: they run by hand.
const scripts = globSync(['bench/**/*.js', 'scripts/**/*.js', 'examples/**/*.js']);

test.each(scripts.filter((file) => readFileSync(file, 'utf8').includes('/dist/')))(
  '%s imports what the program exports',
  async (file) => {
    const imports = readFileSync(file, 'utf8').matchAll(
      /import\s*\{([^}]*)\}\s*from\s*'(\.[^']*\/dist\/[^']*)'/g,
    );
    for (const [, names, from] of imports) {
      const exported = (await import(resolve(dirname(file), from))) as object;
      const imported = names.split(',').flatMap((name) => name.trim().split(/\s+as\s+/)[0] || []);
      expect(Object.keys(exported)).toEqual(expect.arrayContaining(imported));
    }
  },
);
