import { readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { commands } from '../../src/cli/program.ts';
import { runInProcess } from './in-process.ts';
import { run } from './run.ts';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

it('prints the version of the package', async () => {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  for (const flag of ['--version', '-v']) {
    expect(await run([flag])).toMatchObject({ stdout: `${manifest.version}\n`, stderr: '', code: 0 });
  }
});

it('lists every command in its help', async () => {
  const { stdout, code } = await run(['--help']);
  expect(code).toBe(0);
  for (const { name, summary } of commands)
    expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
});

it('refuses an unknown command with exit code 2', async () => {
  const { stderr, code } = await run(['no-such-command']);
  expect(stderr).toBe("error: unknown command 'no-such-command'\nhint: see gpt --help\n");
  expect(code).toBe(2);
});

/** Prints the file of every module that Node loads. */
const printModules = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  registerHooks({ load: (url, context, next) => (writeSync(2, url + '\\n'), next(url, context)) });
`)}`;

it('loads neither a command nor the engine to print its help', () => {
  const { stderr } = spawnSync(process.execPath, ['--import', printModules, program, '--help'], {
    encoding: 'utf8',
  });
  const loaded = [...stderr.matchAll(/\/dist\/(\S+)\n/g)].map(([, file]) => file);
  expect(loaded).toContain('cli/program.js');
  expect(
    loaded.filter(
      (file) =>
        !/^(cli|collective\/launch|errors|flag-name|json|messages|package-version|shell-quote|suggest|values)/.test(
          file,
        ),
    ),
  ).toEqual([]);
  for (const { name } of commands) expect(loaded).not.toContain(`cli/${name}.js`);
  expect(loaded.length).toBeLessThan(30);
});

it.each(commands)('$name --help fits 80 columns and ends with examples', async ({ name }) => {
  const { stdout, code } = await runInProcess([name, '--help']);
  expect(code).toBe(0);
  expect(stdout).not.toMatch(/.{81}/);
  expect(stdout).toContain('\nExamples:\n');
});
