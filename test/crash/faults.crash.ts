/** Disks that fill up or fail, folders that vanish, and two processes that want the same run. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, type RunOptions, type RunResult } from '../cli/run.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { prepare } from './scenarios.ts';

const root = mkdtempSync(join(tmpdir(), 'faults-'));
const disk = join(root, 'disk');
const flags =
  'corpus.txt --n-layer 1 --n-head 1 --n-embd 16 --block-size 16 --batch-size 2 --threads 1 --max-iters 400 ' +
  '--eval-interval 10 --eval-iters 1 --sample-tokens 0';
const gpt = (line: string, options: RunOptions = {}) => run(line.split(' '), { cwd: root, ...options });
const start = (folder: string, options: RunOptions = {}) => gpt(`train ${flags} -o ${folder}`, options);

/** Mounts 1 MB of memory as a disk. */
const mount = (...more: string[]): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', ...more, '-o', 'size=1m', 'gpt-test', disk]).status === 0;
const remount = (how: 'ro' | 'rw'): boolean =>
  spawnSync('mount', ['-o', `remount,${how}`, disk]).status === 0;
const unmount = (): void => void spawnSync('umount', [disk]);

mkdirSync(disk);
const canMount = process.platform === 'linux' && mount();
if (canMount) unmount();
else
  process.stdout.write(
    'SKIPPED: full and read-only disks, since this process may not mount a file system (it takes root on Linux)\n',
  );
afterAll(() => {
  if (canMount) unmount();
  rmSync(root, { recursive: true, force: true });
});

let undisturbed: ReadonlyMap<string, string>;
beforeAll(async () => {
  prepare(root);
  expect((await start('undisturbed')).code).toBe(0);
  undisturbed = bytesOf(join(root, 'undisturbed'));
});
const expectUndisturbed = (folder: string): void =>
  expect(differences(bytesOf(join(root, folder)), undisturbed)).toEqual([]);

/** Lets something happen once, as soon as the output has a text, while the process stands still. */
function whileStopped(
  text: string,
  act: (signal: (name: NodeJS.Signals) => void) => void | Promise<void>,
): NonNullable<RunOptions['onOutput']> {
  let done = false;
  return (output, signal) => {
    if (done || !output.includes(text)) return;
    done = true;
    signal('SIGSTOP');
    void Promise.resolve(act(signal)).finally(() => signal('SIGCONT'));
  };
}

/** The latest checkpoint there is. */
const latest = (folder: string): string =>
  readdirSync(join(root, folder))
    .filter((file) => /^checkpoint-\d+$/.test(file))
    .toSorted((a, b) => Number(a.slice(11)) - Number(b.slice(11)))
    .at(-1)!;

describe.runIf(canMount)('a disk', () => {
  const ballast = join(disk, 'ballast');
  /** Takes all room there is. */
  const fill = (): void => {
    const { bavail, bsize } = statfsSync(disk);
    try {
      writeFileSync(ballast, Buffer.alloc(bavail * bsize));
    } catch {
      // the training took some of it meanwhile; what was written is there
    }
  };

  test('that is full at the end: the last checkpoint is intact, and the run can be resumed', async () => {
    mount();
    const { code, stderr } = await start('disk/run', { onOutput: whileStopped('step 50 ', fill) });
    expect(stderr).toMatch(
      /warning: step \d+ could not be saved: .*no space left on the disk\.\s+The checkpoint of step \d+ is intact; training continues/,
    );
    expect(stderr).toMatch(
      /error: step 400 could not be saved: .*no space left on the disk\nhint: the checkpoint of step \d+ is intact: gpt train --resume disk\/run\n$/,
    );
    expect(code).toBe(1);
    expect(stderr).toContain(`step ${latest('disk/run').slice(11)} is intact`);
    rmSync(ballast);
    expect((await gpt('train --resume disk/run -q')).stderr).toBe('');
    expectUndisturbed('disk/run');
    unmount();
  });

  test('that is full for a while: training continues, and nothing is missing at the end', async () => {
    mount();
    let filled = false;
    const { code, stderr } = await start('disk/run', {
      onOutput(output) {
        if (!filled && output.includes('step 50 ')) {
          filled = true;
          fill();
        }
        if (filled && output.includes('could not be saved')) rmSync(ballast, { force: true });
      },
    });
    expect(stderr).toContain('no space left on the disk');
    expect(code).toBe(0);
    expectUndisturbed('disk/run');
    unmount();
  });

  test('that becomes read-only: the same, and a new run is refused at once', async () => {
    mount();
    const { code, stderr } = await start('disk/run', {
      onOutput: whileStopped('step 50 ', async (signal) => {
        while (!remount('ro')) {
          // It stands still with a file open for writing: a moment later it has not.
          signal('SIGCONT');
          await sleep(2);
          signal('SIGSTOP');
        }
      }),
    });
    expect(stderr).toMatch(/warning: step \d+ .*read-only/);
    expect(stderr).toMatch(/error: step 400 .*read-only/);
    expect(code).toBe(1);
    const refused = await start('disk/other');
    expect(refused.stderr).toMatch(/error: disk\/other: .*read-only\n$/);
    expect(refused.code).toBe(1);
    const resumed = await gpt('train --resume disk/run -q');
    expect(resumed.stderr).toMatch(/error: disk\/run\/.*: .*read-only\n$/);
    expect(resumed.code).toBe(1);
    remount('rw');
    expect((await gpt('train --resume disk/run -q')).stderr).toBe('');
    expectUndisturbed('disk/run');
    unmount();
  });
});

test('a folder that vanishes: training continues with a warning, and can be resumed once it is back', async () => {
  const away = join(root, 'away');
  const { code, stderr } = await start('vanishing', {
    onOutput: whileStopped('step 50 ', () => renameSync(join(root, 'vanishing'), away)),
  });
  expect(stderr).toMatch(/warning: step \d+ .*vanishing/);
  expect(stderr).toMatch(/error: step 400 .*vanishing/);
  expect(code).toBe(1);
  expect(existsSync(join(root, 'vanishing'))).toBe(false);
  expect((await gpt('train --resume away -q')).stderr).toBe('');
  expectUndisturbed('away');
});

test('a second process that opens the same run is refused, without disturbing the first', async () => {
  const seconds: RunResult[] = [];
  const first = await start('wanted', {
    onOutput: whileStopped('step 50 ', async () => {
      seconds.push(await gpt('train --resume wanted'), await start('wanted --overwrite'));
    }),
  });
  expect(first).toMatchObject({ code: 0 });
  expect(seconds).toHaveLength(2);
  for (const second of seconds) {
    expect(second.stderr).toMatch(/error: wanted .*process \d+\nhint: /);
    expect(second.code).toBe(1);
  }
  expectUndisturbed('wanted');
});

test('a copy made while the run was being written can be trained independently', async () => {
  let copied: RunResult | undefined;
  const first = await start('original', {
    onOutput: whileStopped('step 50 ', async () => {
      cpSync(join(root, 'original'), join(root, 'copy'), { recursive: true });
      copied = await gpt('train --resume copy -q');
    }),
  });
  expect(first.code).toBe(0);
  expect(copied).toMatchObject({ stderr: '', code: 0 });
  expectUndisturbed('original');
  expectUndisturbed('copy');
});
