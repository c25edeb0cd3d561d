import { readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { commands } from '../../src/cli/program.ts';
import { gpt, run } from './run.ts';

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

/** The fastest of several runs: what the program needs, without what else the machine was doing. */
function fastest(...args: string[]): number {
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now();
    spawnSync(process.execPath, args);
    return performance.now() - start;
  });
  return Math.min(...times);
}

it('shows its help less than 100 ms later than Node could', () => {
  expect(fastest(gpt, '--help') - fastest('-e', '0')).toBeLessThan(100);
});

it.each(commands)('$name --help fits 80 columns and ends with examples', async ({ name }) => {
  const { stdout, code } = await run([name, '--help']);
  expect(code).toBe(0);
  expect(stdout).not.toMatch(/.{81}/);
  expect(stdout).toContain('\nExamples:\n');
});
