import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { isRunning, lockFolder } from '../../src/checkpoint/lock.ts';
import { failure } from '../fixtures/failure.ts';

let folder = '';
const path = () => join(folder, 'run.lock');
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
});

/** The lock of a live process with something changed in it. */
function foreignLock(changes: Record<string, unknown>): void {
  const lock = lockFolder(folder);
  const mine = JSON.parse(readFileSync(path(), 'utf8')) as Record<string, unknown>;
  lock.release();
  writeFileSync(path(), JSON.stringify({ ...mine, ...changes }));
}

test('a lock has one holder, and its file is removed on release', () => {
  const lock = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(failure('folder-in-use', folder, `process ${process.pid}`));
  lock.check();
  lock.release();
  expect(readdirSync(folder)).toEqual([]);
  lockFolder(folder).release();
});

describe('a lock is ignored', () => {
  test.each([
    ['when its process is gone', () => ({ pid: deadPid() })],
    [
      'when its process’ number belongs to another one now',
      () => ({ pid: process.ppid, started: 'long ago' }),
    ],
    ['when this very number was another process’', () => ({ started: 'long ago' })],
    ['when it was copied with its folder', () => ({ folder: '1:1' })],
  ])('%s', (_name, changes) => {
    foreignLock(changes());
    const lock = lockFolder(folder);
    lock.check();
    lock.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each(['', '{', '{"pid":"x"}', 'null'])('when it is damaged: %j', (content) => {
    writeFileSync(path(), content);
    lockFolder(folder).release();
  });

  test('after its process was killed', async () => {
    const child = await holder();
    expect(() => lockFolder(folder)).toThrow(failure('folder-in-use', `process ${child.pid}`));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    lockFolder(folder).release();
  });
});

test('a lock from another computer holds, since its process cannot be checked', () => {
  foreignLock({ host: 'another', pid: deadPid() });
  expect(() => lockFolder(folder)).toThrow(failure('folder-in-use', 'another'));
});

test('only one of many processes takes over a stale lock', async () => {
  foreignLock({ pid: deadPid() });
  const children = Array.from({ length: 6 }, () => spawnHolder());
  const said = await Promise.all(children.map(({ said: text }) => text));
  expect(said.filter((text) => text === 'held')).toHaveLength(1);
  for (const { child } of children) child.kill('SIGKILL');
});

test.runIf(process.platform === 'linux')('a zombie process does not hold a lock', async () => {
  // The shell starts a child and then becomes a program that never asks for it; only after that may the child die, since
  // the shell itself would bury it.
  const shell = spawn('bash', ['-c', 'sleep 30 & echo $!; exec tail -f /dev/null'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = Number(
    await new Promise<string>((resolve) =>
      shell.stdout.once('data', (data: Buffer) => resolve(String(data))),
    ),
  );
  await until(() => readFileSync(`/proc/${shell.pid}/comm`, 'latin1') === 'tail\n');
  expect(isRunning(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
  await until(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
  expect(isRunning(pid)).toBe(false);
  shell.kill('SIGKILL');
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const deadPid = (): number => spawnSync(process.execPath, ['-e', '']).pid;

/** A process that takes the lock, says so, and keeps it. */
function spawnHolder() {
  const script = `
    import { lockFolder } from ${JSON.stringify(new URL('../../dist/checkpoint/lock.js', import.meta.url).href)};
    try { lockFolder(${JSON.stringify(folder)}); console.log('held'); } catch { console.log('refused'); }
    setTimeout(() => {}, 30000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const said = new Promise<string>((resolve) =>
    child.stdout.once('data', (data: Buffer) => resolve(String(data).trim())),
  );
  return { child, said };
}

async function holder() {
  const { child, said } = spawnHolder();
  expect(await said).toBe('held');
  return child;
}
