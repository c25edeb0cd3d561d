import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { LAYERS } from '../oxlint.config.ts';

test('every folder of src/ is in a layer, except src/kernels, which is AssemblyScript and compiled on its own', () => {
  const folders = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const names = folders.map(({ name }) => name).filter((name) => name !== 'kernels');
  expect(LAYERS.flat().toSorted()).toEqual(names.toSorted());
});

test('the linter refuses imports from higher layers, from neighbors and in circles, of types too', () => {
  const importing = (path: string): string => `import type { A } from '${path}';\nexport type B = A | 0;\n`;
  const found = lint({
    'src/data/up.ts': importing('../checkpoint/y.ts'),
    'src/train/deep/up.ts': importing('../../cli/y.ts'),
    'src/forecast/neighbor.ts': importing('../inspect/y.ts'),
    'src/shared.ts': importing('./model/y.ts'),
    'src/model/circle.ts': "import type { B } from './other.ts';\nexport type A = B;\n",
    'src/model/other.ts': importing('./circle.ts'),
    'src/checkpoint/down.ts': importing('../data/y.ts'),
    'src/checkpoint/shared.ts': importing('../shared.ts'),
    'src/index.ts': importing('./library/y.ts'),
  });
  expect(found).toEqual([
    'src/data/up.ts no-restricted-imports',
    'src/forecast/neighbor.ts no-restricted-imports',
    'src/model/circle.ts no-cycle',
    'src/model/other.ts no-cycle',
    'src/shared.ts no-restricted-imports',
    'src/train/deep/up.ts no-restricted-imports',
  ]);
});

test('the linter refuses functions of more than 60 lines, and kernels with more than six parameters', () => {
  const lines = (count: number): string => `export function f(): void {\n${'  g();\n'.repeat(count - 2)}}\n`;
  const parameters = (count: number): string =>
    `export function f(${Array.from({ length: count }, (_, i) => `p${i}: number`).join(', ')}): void {}\n`;
  const found = lint({
    'src/train/long.ts': lines(61),
    'src/train/short.ts': lines(60),
    'src/kernels/long.ts': lines(61),
    'src/kernels/many.ts': parameters(7),
    'src/kernels/few.ts': parameters(6),
  });
  expect(found.filter((text) => text.includes('max-'))).toEqual([
    'src/kernels/long.ts max-lines-per-function',
    'src/kernels/many.ts max-params',
    'src/train/long.ts max-lines-per-function',
  ]);
});

/** What the linter finds in these files with the project's configuration: each file with the rule it breaks. */
function lint(files: Readonly<Record<string, string>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'layers-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  copyFileSync('oxlint.config.ts', join(folder, 'oxlint.config.ts'));
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const oxlint = resolve('node_modules/oxlint/bin/oxlint');
  const { stdout } = spawnSync(process.execPath, [oxlint, '--format', 'json'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
  return diagnostics
    .map(({ code, filename }) => `${filename} ${code.replace(/.*\((.*)\)/, '$1')}`)
    .toSorted();
}
