import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { commandsIn, expectRefusal, runInProcess, type Refusal } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'compare-'));
const text = Array.from({ length: 300 }, (_, i) => `whale ${i % 7} & <sea> ${(i * i) % 5}.\n`).join('');
const tiny =
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 20 --eval-interval 10 --warmup-iters 2';
const gpt = commandsIn(folder);

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  await gpt(`train corpus.txt ${tiny} -o checkpoints/slow --learning-rate 0.0001`);
  await gpt(`train corpus.txt ${tiny} -q -o checkpoints/fast --learning-rate 0.01`);
});

describe('compare', () => {
  test('overlays runs, and shows losses, speed and the settings that differ', async () => {
    const { stdout, stderr, code } = await gpt('compare');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/A fast {3}B slow/);
    expect(stdout).toMatch(/^ {2}\d\.\d+ │.*[AB]$/m);
    expect(stdout).toMatch(/^ {2}A +\S+K? +20 +\d\.\d{4} +\d+ +[\d,]+ +\S+$/m);
    expect(stdout).toMatch(/learning-rate +0\.01 +0\.0001/);
    expect(stdout).not.toContain('different tokenizers');
    expect(stdout).not.toMatch(/^ +outDir/m);
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  test('divides the settings of many runs into tables that fit, with the ends of paths', async () => {
    const many = mkdtempSync(join(tmpdir(), 'compare-many-'));
    mkdirSync(join(folder, 'a/rather/long/path'), { recursive: true });
    writeFileSync(join(folder, 'a/rather/long/path/book.txt'), text);
    await gpt(`train a/rather/long/path/book.txt ${tiny} -q -o other`);
    for (let i = 0; i < 12; i++) {
      const run = i === 7 ? 'other' : `checkpoints/${i % 2 === 0 ? 'slow' : 'fast'}`;
      cpSync(join(folder, run), join(many, `checkpoints/run-of-the-mill-${i}`), { recursive: true });
    }
    const { stdout, stderr } = await runInProcess(['compare'], many);
    expect(stderr).toBe('');
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    const [first, second] = stdout.slice(stdout.indexOf('Settings that differ')).split('\n\n');
    expect(first).toMatch(/ A {2,}B /);
    expect(second).not.toMatch(/ A {2,}B /);
    expect(stdout).toMatch(/^ {2}corpus .*corpus\.txt .*…\S*book\.txt/m);
    expect(stdout.match(/learning-rate/g)).toHaveLength(3);
  });

  test('compares settings, not the history of a run', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'compare-extended-'));
    cpSync(join(folder, 'checkpoints/fast'), join(elsewhere, 'checkpoints/a'), { recursive: true });
    cpSync(join(folder, 'checkpoints/fast'), join(elsewhere, 'checkpoints/b'), { recursive: true });
    cpSync(join(folder, 'corpus.txt'), join(elsewhere, 'corpus.txt'));
    await runInProcess(['train', '--resume', 'a', '--max-iters', '30', '-q'], elsewhere);
    const { stdout } = await runInProcess(['compare'], elsewhere);
    expect(stdout).toMatch(/^ {2}max-iters +30 +20$/m);
    expect(stdout).not.toMatch(/past-schedules|rewarm/);
  });

  test('--json has the same as the text', async () => {
    const { stdout } = await gpt('compare checkpoints/slow checkpoints/fast --json');
    const { runs, ...rest } = JSON.parse(stdout) as { runs: Record<string, unknown>[] };
    expect(runs.map((each) => each['name'])).toEqual(['slow', 'fast']);
    expect(runs[0]).toMatchObject({ steps: 20, folder: 'checkpoints/slow' });
    expect(Number(runs[1]['val_loss'])).toBeLessThan(Number(runs[0]['val_loss']));
    expect(rest).toMatchObject({ same_tokens: true, differences: { learningRate: ['0.0001', '0.01'] } });
  });

  test('warns of losses that are not comparable', async () => {
    await gpt(`train corpus.txt ${tiny} -q -o words --tokenizer word`);
    expect((await gpt('compare words checkpoints/fast')).stdout).toContain('different tokenizers');
  });

  test('skips unreadable runs under checkpoints/ with a warning', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'compare-damaged-'));
    cpSync(join(folder, 'checkpoints'), join(elsewhere, 'checkpoints'), { recursive: true });
    const inside = (name: string): string => join(elsewhere, 'checkpoints', name);
    symlinkSync('loop', inside('loop'));
    cpSync(inside('fast'), inside('cut'), { recursive: true });
    writeFileSync(join(inside('cut'), 'config.json'), '{"n_layer":');
    const compared = await runInProcess(['compare'], elsewhere);
    expect(compared.stdout).toMatch(/A fast {3}B slow/);
    expect(compared.stderr).toMatch(/^warning: .*checkpoints\/cut\/config\.json.*JSON\n$/);
    rmSync(inside('cut'), { recursive: true });
    const inspected = await runInProcess(['inspect', '--json', '-q'], elsewhere);
    expect(inspected).toMatchObject({ code: 0, stderr: '' });
  });

  test('-o and --html follow a link and write into a device', async () => {
    symlinkSync('linked.html', join(folder, 'link.html'));
    expect(await gpt('compare --html link.html -q')).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(folder, 'linked.html'), 'utf8')).toContain('2 runs compared');
    symlinkSync('/dev/null', join(folder, 'null'));
    expect(await gpt('report checkpoints/fast -o null -q')).toMatchObject({ code: 0, stderr: '' });
    expect(lstatSync(join(folder, 'null')).isSymbolicLink()).toBe(true);
  });

  test('report replaces a link in the run instead of following it', async () => {
    writeFileSync(join(folder, 'precious'), 'mine');
    symlinkSync(join(folder, 'precious'), join(folder, 'checkpoints/slow/report.html'));
    expect(await gpt('report checkpoints/slow -q')).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('mine');
  });

  test('--html writes a page, to stdout too', async () => {
    const { stderr, code } = await gpt('compare --html runs.html');
    expect(code).toBe(0);
    expect(stderr).toContain('Wrote runs.html');
    const page = readFileSync(join(folder, 'runs.html'), 'utf8');
    expect(page).toContain('<h1>2 runs compared</h1>');
    expect((await gpt('compare --html -')).stdout).toBe(page);
  });

  test.each<[line: string, ...Refusal]>([
    ['compare checkpoints/fast', 2, 'missing-argument', 'two'],
    ['compare checkpoints/fast nowhere', 1, 'file-not-found', 'nowhere'],
    ['report nowhere', 1, 'file-not-found', 'nowhere'],
    ['report checkpoints/fast --text é', 1, 'not-in-vocabulary', '"é"'],
    ['report checkpoints/fast -o nowhere/report.html', 1, 'write-failed', 'nowhere'],
  ])('refuses %s', async (line, ...refusal) => {
    await expectRefusal(line.split(' '), refusal, folder);
  });
});

describe('report', () => {
  test('writes report.html into the run, or where it is told to', async () => {
    const { stdout, stderr, code } = await gpt('report checkpoints/slow');
    expect([stdout, code]).toEqual(['', 0]);
    expect(stderr).toMatch(/checkpoints\/slow\/report\.html, \d+ kB/);
    const page = readFileSync(join(folder, 'checkpoints/slow/report.html'), 'utf8');
    expect(page).toContain('<h1>slow</h1>');
    await gpt('report checkpoints/slow -o elsewhere.html -q');
    expect(readFileSync(join(folder, 'elsewhere.html'), 'utf8')).toBe(page);
    expect((await gpt('report checkpoints/slow -o -')).stdout).toBe(page);
  });

  test('of a run without samples shows new samples, the same every time', async () => {
    const { stdout: page } = await gpt('report checkpoints/fast -o - --threads 1');
    expect(page).toContain('No samples were kept');
    expect((await gpt('report checkpoints/fast -o - --threads 3')).stdout).toBe(page);
    expect(existsSync(join(folder, 'checkpoints/fast/report.html'))).toBe(false);
  });

  test('escapes text from files, and has no external references', async () => {
    const { stdout: page } = await gpt(['report', 'checkpoints/slow', '--text', '& <sea>', '-o', '-']);
    const visible = page.replace(/<script[^]*?<\/script>/g, '').replace(/<style[^]*?<\/style>/g, '');
    expect(visible).toContain('<code>&lt;</code>');
    expect(visible).toContain('<code>&amp;</code>');
    expect(visible).not.toContain('<sea>');
    expect(visible).not.toMatch(/(?:src|href)="(?!#)/);
    expect(page).toContain('default-src &#39;none&#39;');
  });
});
