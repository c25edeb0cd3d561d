/** Reports in a real browser: drawn, usable by keyboard, legible in both color schemes and on a phone, safe. */
import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../cli/run.ts';
import { chromiumPath, startChromium } from './chromium.ts';

if (chromiumPath === undefined)
  process.stderr.write(
    'No Chromium found: the browser tests are skipped. CHROME_PATH names one, and test/browser/run.sh fetches one.\n',
  );

const folder = mkdtempSync(join(tmpdir(), 'browser-'));
const HOSTILE = '</script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">&amp;';
const words = ['the', 'whale', 'sea', '<ship>', 'and', "o'f", '"white"', 'a', 'harpoon', '&man'];
const text = Array.from(
  { length: 300 },
  (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]}. ${i % 9 === 0 ? HOSTILE : ''}\n`,
).join('');
const flags =
  '--n-layer 2 --n-head 2 --n-embd 16 --block-size 32 --batch-size 4 --max-iters 40 --eval-interval 10 --warmup-iters 2';
const page1 = join(folder, 'runs', '<b>first & "last"', 'report.html');
const page2 = join(folder, 'both.html');

let browser: Browser;
beforeAll(async () => {
  if (chromiumPath === undefined) return;
  browser = await startChromium();
  writeFileSync(join(folder, 'corpus.txt'), text);
  const gpt = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await run(args, { cwd: folder });
    expect(code, stderr).toBe(0);
  };
  const hostile = join('runs', '<b>first & "last"');
  await gpt('train', 'corpus.txt', ...flags.split(' '), '--tokenizer', 'word', '-o', hostile);
  await gpt('train', 'corpus.txt', ...flags.split(' '), '-o', 'runs/second', '--learning-rate', '0.01');
  appendFileSync(
    join(folder, hostile, 'samples.jsonl'),
    `${JSON.stringify({ step: 40, text: `the ${HOSTILE} whale` })}\n`,
  );
  await gpt('report', hostile);
  await gpt('report', hostile, 'runs/second', '-o', 'both.html');
});
afterAll(() => browser?.close());

interface Options {
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
  readonly scripts?: boolean;
}

/** Opens a report; fails on any error the page has, and on whatever it asks the network for. */
async function open(path: string, { width = 1100, scheme = 'light', scripts = true }: Options = {}) {
  const page = await browser.newPage();
  const trouble: string[] = [];
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('console', (message) => trouble.push(message.text()));
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(path).href) trouble.push(`asks for ${request.url()}`);
  });
  await page.setJavaScriptEnabled(scripts);
  await page.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(pathToFileURL(path).href);
  return { page, trouble };
}

const textOf = (page: Page, selector: string): Promise<string> =>
  page.$eval(selector, (element) => element.textContent ?? '');

describe.skipIf(chromiumPath === undefined)('a report', () => {
  test('runs no scripts but its own, and makes no network requests', async () => {
    for (const path of [page1, page2]) {
      const { page, trouble } = await open(path);
      await page.waitForSelector('#chart-loss canvas');
      expect(await page.evaluate('window.pwned')).toBeUndefined();
      expect(trouble).toEqual([]);
      await page.close();
    }
  });

  test('shows texts literally, whatever characters they contain', async () => {
    const { page } = await open(page1);
    expect(await textOf(page, 'h1')).toBe('<b>first & "last"');
    const samples = await page.$$eval('.samples pre', (all) => all.map((each) => each.textContent));
    expect(samples.at(-1)).toBe(`the ${HOSTILE} whale`);
    await page.close();
  });

  test('draws every curve', async () => {
    const { page } = await open(page1);
    await page.waitForSelector('#chart-loss canvas');
    const colors = await page.$$eval('.plot canvas', (canvases) =>
      canvases.map((canvas) => {
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        const found = new Set<number>();
        for (let i = 0; i < data.length; i += 4)
          if (data[i + 3] === 255) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
        return [...found];
      }),
    );
    expect(colors.length).toBe(4);
    for (const canvas of colors) expect(canvas).toContain(0x1b66b8); // --line-1
    expect(colors[0]).toContain(0xc2540a); // the validation loss
    await page.close();
  });

  test('lets the arrow keys move along the curves', async () => {
    const { page } = await open(page1);
    await page.waitForSelector('#chart-loss canvas');
    await page.focus('#chart-loss');
    await page.keyboard.press('End');
    await page.waitForFunction(() =>
      document.getElementById('chart-loss-reading')!.textContent.startsWith('step 40: '),
    );
    const last = await textOf(page, '#chart-loss-reading');
    expect(last).toMatch(
      /^step 40: each step \d\.\d{4}, training text \d\.\d{4}, validation text \d\.\d{4}$/,
    );
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() =>
      document.getElementById('chart-loss-reading')!.textContent.startsWith('step 39: '),
    );
    await page.close();
  });

  test('names the nearest neighbors of a token on the map', async () => {
    const { page } = await open(page1);
    await page.waitForSelector('#embedding-map text');
    await page.select('#map-token', '1');
    expect(await textOf(page, '#map-reading')).toMatch(/^nearest: \S+( {2}\S+){4}$/);
    expect((await page.$$('#embedding-map line')).length).toBe(5);
    const place = await page.$eval('#embedding-map text:not(.chosen)', (element) => {
      element.scrollIntoView({ block: 'center', behavior: 'instant' });
      const { left, top, width, height } = element.getBoundingClientRect();
      return { x: left + width / 2, y: top + height / 2, label: element.textContent };
    });
    await page.mouse.click(place.x, place.y);
    expect(await page.$eval('#embedding-map text.chosen', (element) => element.textContent)).toBe(
      place.label,
    );
    await page.close();
  });

  test('steps through the heads, and shows what a token attends to', async () => {
    const { page } = await open(page1);
    await page.waitForSelector('#attention-map td');
    const shown = async () => [
      await page.$eval('#attention-layer', (select) => (select as HTMLSelectElement).value),
      await page.$eval('#attention-head', (select) => (select as HTMLSelectElement).value),
    ];
    expect(await shown()).toEqual(['-1', '-1']);
    const seen: string[][] = [];
    for (let i = 0; i < 5; i++) {
      await page.click('#attention-on');
      seen.push(await shown());
    }
    expect(seen).toEqual([
      ['0', '0'],
      ['0', '1'],
      ['1', '0'],
      ['1', '1'],
      ['-1', '-1'],
    ]);
    await page.click('#attention-back');
    expect(await shown()).toEqual(['1', '1']);
    await page.focus('#attention-tokens button[aria-pressed="true"]');
    const before = await textOf(page, '#attention-reading');
    await page.keyboard.press('ArrowLeft');
    expect(await textOf(page, '#attention-reading')).not.toBe(before);
    const rows = await page.$$eval('#attention-map tbody tr', (all) =>
      all.map((row) => [...row.querySelectorAll('td')].map((cell) => parseFloat(cell.textContent ?? ''))),
    );
    for (const row of rows)
      expect(Math.abs(row.reduce((a, b) => a + b) - 100)).toBeLessThanOrEqual(0.5 * row.length); // of rounding
    await page.close();
  });

  test.each([
    [390, 'light'],
    [390, 'dark'],
    [768, 'light'],
    [1400, 'dark'],
  ] as const)('fits a window %d wide, %s', async (width, scheme) => {
    for (const path of [page1, page2]) {
      const { page } = await open(path, { width, scheme });
      await page.waitForSelector('#chart-loss canvas');
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      const canvas = await page.$eval('#chart-loss canvas', (each) => each.getBoundingClientRect().right);
      expect(canvas).toBeLessThanOrEqual(width);
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      expect(background).toBe(scheme === 'dark' ? 'rgb(22, 22, 21)' : 'rgb(253, 253, 252)');
      await page.close();
    }
  });

  test.each(['light', 'dark'] as const)('passes the checks of axe-core, %s', async (scheme) => {
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    for (const path of [page1, page2]) {
      const { page } = await open(path, { scheme });
      await page.waitForSelector('#chart-loss canvas');
      for (const details of await page.$$('details'))
        await details.evaluate((each) => each.setAttribute('open', ''));
      await page.evaluate(axe);
      const { violations } = (await page.evaluate('axe.run()')) as {
        violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
      };
      expect(
        violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`),
      ).toEqual([]);
      await page.close();
    }
  });

  test('shows the same content without scripts', async () => {
    const { page, trouble } = await open(page1, { scripts: false });
    const words1 = await textOf(page, '#main');
    for (const part of ['Validation loss', 'Samples over time', 'not run', 'nLayer', 'token embedding'])
      expect(words1).toContain(part);
    expect(await page.$eval('#chart-loss', (element) => element.getAttribute('aria-label'))).toMatch(
      /validation text: from \d\.\d{4} to \d\.\d{4}/,
    );
    expect(trouble.filter((line) => line.startsWith('asks'))).toEqual([]);
    await page.close();
  });
});
