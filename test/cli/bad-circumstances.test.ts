/** What is wrong around a command and not in what it was told: streams, permissions, memory. Each in a process of its own. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeModel } from '../fuzz/seeds.ts';
import { gpt, hasTerminal, run, shell } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'circumstances-'));
const at = (name: string): string => join(folder, name);
const TINY = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 1';

/** A machine that has only so many bytes of memory. */
const machineWith = (bytes: number) => ({
  NODE_OPTIONS: `--import=data:text/javascript,process.constrainedMemory=()=>${bytes}`,
});
/**
 * Says on stderr at the end how much memory the process had at most, in kilobytes. On Linux, `maxRSS` includes what the process
 * had before it was the program: the memory of the test's own process.
 */
const peak = `
  import { readFileSync } from 'node:fs';
  const peak = () =>
    process.platform === 'linux'
      ? /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]
      : process.resourceUsage().maxRSS;
  process.on('exit', () => console.error('peak', peak()));
`;
const measured = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(peak)}` };

beforeAll(() => {
  writeFileSync(at('corpus.txt'), 'the white whale and the sea.\n'.repeat(40));
  writeModel(at('model'), 'char');
  writeFileSync(at('sparse.txt'), '');
  truncateSync(at('sparse.txt'), 5e9);
  mkdirSync(at('locked'));
  writeFileSync(at('secret.txt'), 'text');
});

describe.skipIf(process.platform === 'win32')('streams', () => {
  test.each([
    ['a reader that has enough', `gpt sample -m model -n 5000 --prompt C | head -c 3`, 'C'],
    ['a reader that is gone', `gpt tokenize corpus.txt --json | true`, ''],
  ])('%s is no error', async (_name, line, start) => {
    const { stdout, stderr, code } = await shell(`cd '${folder}'; ${line}; exit \${PIPESTATUS[0]}`);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout.startsWith(start)).toBe(true);
  });
  test.each([
    ['eval -m model', 1, 'error: stdin: it contains no text\nhint: use a text with some content\n'],
    ['train -', 1, 'error: stdin: it contains no text\nhint: use a text with some content\n'],
    [
      'sample -m model --prompt -',
      1,
      'error: stdin has no text for the prompt\nhint: to sample without a prompt, omit --prompt and --prompt-file\n',
    ],
  ])('a closed stdin: %s', async (line, code, message) => {
    expect(await shell(`cd '${folder}'; gpt ${line} <&-`)).toMatchObject({ code, stderr: message });
  });
  test('a prompt that is not valid text is refused', async () => {
    const { stderr, code } = await shell(`cd '${folder}'; gpt sample -m model --prompt $'\\xed\\xa0\\x80'`);
    expect(stderr).toMatch(/^error: .*"\ufffd" \(U\+FFFD\).*position 1/);
    expect(code).toBe(1);
  });
  test('a prompt of NULs from a pipe is refused', async () => {
    const { stderr, code } = await shell(`cd '${folder}'; gpt sample -m model < /dev/zero`);
    expect(stderr).toMatch(/^error: stdin .*byte 0 .*NUL/);
    expect(code).toBe(1);
  });
  test.runIf(hasTerminal)('a terminal and nothing else: sample needs no prompt', async () => {
    const { stdout, code } = await run(['sample', '-m', at('model'), '-n', '5', '--seed', '1'], {
      tty: true,
    });
    expect(code).toBe(0);
    expect(stdout.trim().length).toBeGreaterThan(0);
  });
  test('without a terminal, output is plain text', async () => {
    const { stdout, stderr } = await run(['train', 'corpus.txt', ...TINY.split(' '), '-o', 'plain'], {
      cwd: folder,
    });
    expect(stdout + stderr).not.toContain('\u001b');
  });
});

// The superuser may do anything: then another user tries.
const isRoot = process.getuid?.() === 0;
const asUser = (line: string) =>
  shell(
    `cd '${folder}'; ${isRoot ? `setpriv --reuid=65534 --regid=65534 --clear-groups '${process.execPath}' '${gpt}'` : 'gpt'} ${line}`,
  );

describe.skipIf(process.platform !== 'linux')('permissions', () => {
  beforeAll(() => {
    chmodSync(folder, 0o755);
    chmodSync(dirname(folder), 0o755);
    chmodSync(at('locked'), 0o555);
    chmodSync(at('secret.txt'), 0);
  });
  test.each([
    [
      'a folder to write in',
      `train corpus.txt ${TINY} -q -o locked/run`,
      'error: locked/run: permission denied\n',
    ],
    [
      'a place for a tokenizer',
      'tokenize corpus.txt -q -o locked/tokens',
      'error: locked/tokens: permission denied\n',
    ],
    ['a text to read', 'tokenize secret.txt', 'error: secret.txt: permission denied\n'],
  ])('%s is denied', async (_name, line, message) => {
    expect(await asUser(line)).toMatchObject({ code: 1, stdout: '', stderr: message });
  });

  test.runIf(isRoot)(
    'a run is deleted as far as that is allowed, and the error says where the rest is',
    async () => {
      await shell(`cd '${folder}'; gpt train corpus.txt ${TINY} -q -o open/run`);
      chownSync(at('open'), 65534, 65534);
      chownSync(at('open/run'), 65534, 65534); // but not the checkpoint in it
      const { code, stderr } = await asUser('rm open/run --yes -q');
      const rest = /\/open\/[.]run[.]\d+[.]gpt-deleted$/m.exec(stderr)?.[0];
      expect(stderr).toMatch(
        /^error: open\/run is deleted, but .*: .*permission denied\nhint: .*rm -r .*gpt-deleted\n$/,
      );
      expect(code).toBe(1);
      expect(existsSync(at('open/run'))).toBe(false);
      expect(existsSync(`${folder}${rest}/checkpoint-1`)).toBe(true);
      // Nor does that prevent other deletions.
      await shell(`cd '${folder}'; gpt train corpus.txt ${TINY} -q -o open/other; chown -R 65534 open/other`);
      expect(await asUser('rm open/other --yes -q')).toMatchObject({ code: 0, stderr: '' });
    },
  );
});

describe.skipIf(process.platform !== 'linux')('a file that cannot be written or read is named', () => {
  test.each([
    ['a full disk', 'gpt inspect -m model --json > /dev/full', 'standard output: no space left on the disk'],
    ['an output', 'gpt report model -o /dev/full', '/dev/full: no space left on the disk'],
    [
      'a tokenizer',
      'ulimit -f 1; gpt tokenize corpus.txt -q -o large --tokenizer bpe',
      'large/tokenizer.json: larger than ulimit -f or the file system allows',
    ],
    ['prompts', 'gpt sample -m model --prompts .', '.: is a folder, not a file'],
    ['standard input', 'gpt train - < .', 'stdin: is a folder, not a file'],
  ])('%s', async (_name, line, message) => {
    const { stderr, code } = await shell(`cd '${folder}'; ${line}`);
    expect({ stderr, code }).toEqual({ stderr: `error: ${message}\n`, code: 1 });
  });

  test('a checkpoint that cannot be written is named, not its temporary folder', async () => {
    // Weights of 22 kB are within the limit, moments of twice that are not.
    const line = `gpt train corpus.txt ${TINY} -q -o limited`;
    const { stderr, code } = await shell(`cd '${folder}'; ulimit -f 32; ${line}`);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^warning: step 1 .*: limited\/checkpoint-1: .*ulimit -f[^]*\nerror: step 1 .*: limited\/checkpoint-1: .*ulimit -f.*\nhint: .* limited\n$/,
    );
  });
});

describe('memory', () => {
  const limited = (args: string, bytes: number, stdin?: string) =>
    run(args.split(' '), { cwd: folder, env: machineWith(bytes), ...(stdin === undefined ? {} : { stdin }) });
  test('a training that needs more memory than available is refused', async () => {
    const { stderr, code } = await limited(`train corpus.txt --threads 1 --preset nano -q -o big`, 30e6);
    expect(stderr).toMatch(/^error: .*\b\d\d MB.*\b30 MB\nhint: .*--batch-size \d+/);
    expect(code).toBe(1);
  });
  test('a model that needs more memory than available is refused', async () => {
    writeModel(at('large'), 'char', { nEmbd: 256, nInner: 1024 });
    const { stderr, code } = await limited('sample -m large --threads 1', 5e6);
    expect(stderr).toMatch(/^error: .*\b6 MB.*\b5 MB\nhint: .*smaller model\n$/);
    expect(code).toBe(1);
  });
  test('an endless text from a pipe is refused', async () => {
    const { stderr, code } = await shell(
      `cd '${folder}'; export NODE_OPTIONS='${machineWith(100e6).NODE_OPTIONS}'; yes whale | gpt train -`,
    );
    expect(stderr).toMatch(/^error: stdin .*\b25 MB.*\nhint: .*file.*\n$/);
    expect(code).toBe(1);
  });
  test.each([
    'train sparse.txt',
    'eval sparse.txt -m model',
    'tokenize sparse.txt',
    'tokenize corpus.txt -m sparse.txt',
  ])('5 GB of zeros are refused without reading them: %s', async (line) => {
    const { stderr, code } = await run(line.split(' '), { cwd: folder, env: measured });
    expect(code).toBe(1);
    expect(Number(/^peak (\d+)$/m.exec(stderr)?.[1])).toBeLessThan(300_000);
  });
});
