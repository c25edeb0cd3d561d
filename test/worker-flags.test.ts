import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { workerFlags } from '../src/worker-flags.ts';

const dist = (file: string): string => JSON.stringify(new URL(`../dist/${file}`, import.meta.url).href);

/** What a program prints that is given on the command line. */
const printed = (script: string, ...flags: string[]): string => {
  const args = [...flags, '--input-type=module', '--eval', `${script}; process.exit()`];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return stdout || stderr;
};

describe('the flags of a worker', () => {
  test('are those of the process, unless the program was given on the command line', () => {
    expect(workerFlags(['--max-old-space-size=99'])).toBeUndefined();
    expect(workerFlags(['--input-type', 'module', '--eval', 'a'])).toEqual([]);
    expect(
      workerFlags([
        '--permission',
        '--allow-fs-read',
        '/a',
        '--input-type=module',
        '--eval',
        'b',
        '--allow-worker',
      ]),
    ).toEqual(['--permission', '--allow-fs-read', '/a', '--allow-worker']);
  });
});

describe('a program given on the command line', () => {
  test('has all threads of the engine', () => {
    const script = `
      import { createWasmBackend } from ${dist('engine/wasm.js')};
      console.log((await createWasmBackend({ threads: 3 })).threads)`;
    expect(printed(script)).toBe('3\n');
  });

  const flags = [
    '--permission',
    '--allow-worker',
    `--allow-fs-read=${fileURLToPath(new URL('..', import.meta.url))}`,
  ];

  test('renders templates, with a permission model or without', () => {
    const script = `
      import { ChatTemplate } from ${dist('chat/chat-template.js')};
      const template = new ChatTemplate('{{ messages[0].content }}', { name: 'T', tokens: {} });
      console.log(template.render([{ role: 'user', content: 'Hi' }]))`;
    expect(printed(script)).toBe('Hi\n');
    expect(printed(script, ...flags)).toContain('Hi\n');
  });

  test("has workers that stay within Node's permission model", () => {
    const script = `
      import { Worker } from 'node:worker_threads';
      import { workerFlags } from ${dist('worker-flags.js')};
      const reading = "try { require('fs').readdirSync('/'); console.log('read') } catch ({ code }) { console.log(code) }";
      const worker = new Worker(reading, { eval: true, execArgv: workerFlags() });
      await new Promise((resolve) => worker.on('exit', resolve))`;
    expect(printed(script, ...flags)).toContain('ERR_ACCESS_DENIED');
  });
});
