import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const sources = readdirSync('src/kernels', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.startsWith('generated'))
  .map((file) => ({ file, text: readFileSync(`src/kernels/${file}`, 'utf8') }));

test('the linter reads every kernel; only a measured cost excuses more than six parameters or sixty lines', () => {
  expect(sources.length).toBeGreaterThan(20);
  const unexplained = sources.flatMap(({ file, text }) =>
    [...text.matchAll(/^.*(?:oxlint-|eslint-|prettier-ignore|@ts-).*$/gm)]
      .map(([line]) => line)
      .filter(
        (line) =>
          !/\/\/ oxlint-disable-next-line max-(?:params|lines-per-function) -- .*\d (?:%|µs|ns)/.test(line),
      )
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(unexplained).toEqual([]);
});
