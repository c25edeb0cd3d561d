/** The page that trains, in a real browser: from a text to a model folder, which has the bytes of the command line. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../cli/run.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { chromiumPath, SOFTWARE_GPU, startChromium } from './chromium.ts';
import { serve } from './static-server.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tab-'));
const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};
const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
const text = Array.from(
  { length: 600 },
  (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]}${i % 5 === 0 ? '.\n' : ' '}`,
).join('');
/** What is typed into the fields of the form; with the same options on the command line. */
const small = { maxIters: 30, nLayer: 2, nHead: 2, nEmbd: 16, blockSize: 16, batchSize: 4, threads: 2 };
const flags =
  '--max-iters 30 --n-layer 2 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --sample-tokens 200 --tokenizer char';

let browser: Browser;
let isolated: { readonly server: Server; readonly address: string };
let plain: { readonly server: Server; readonly address: string };

beforeAll(async () => {
  if (chromiumPath === undefined) return;
  execFileSync(process.execPath, [join(root, 'scripts', 'build-web.js')]);
  const built = join(root, 'dist', 'web');
  [browser, isolated, plain] = await Promise.all([startChromium(), serve(built, ISOLATED), serve(built)]);
});
afterAll(async () => {
  await browser?.close();
  isolated?.server.close();
  plain?.server.close();
});

/** Chromium's note on a question whose answer the page expects. */
const NO_GPU = 'No available adapters.';

interface View {
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
  readonly address?: string;
  readonly by?: Browser;
}

/** Opens the page. @returns it, and what a page should not do: errors, refused content, requests to other servers */
async function open({
  width = 1000,
  scheme = 'light',
  address = isolated.address,
  by = browser,
}: View = {}): Promise<{
  page: Page;
  trouble: string[];
}> {
  const page = await by.newPage();
  const trouble: string[] = [];
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('console', (message) => {
    if (message.text() !== NO_GPU) trouble.push(message.text());
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(address) && !/^(about|blob|data):/.test(url)) trouble.push(`asks for ${url}`);
  });
  await page.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(address);
  await page.waitForFunction(() => crossOriginIsolated);
  await page.waitForSelector('#example');
  return { page, trouble };
}

const textOf = (page: Page, selector: string): Promise<string> =>
  page.$eval(selector, (element) => element.textContent ?? '');

/** Pastes a text and fills in the form. */
async function fill(
  page: Page,
  pasted: string,
  options: Readonly<Record<string, number>> = small,
): Promise<void> {
  await page.waitForFunction(() => document.querySelector('#chosen') !== null);
  await page.$eval(
    '#pasted',
    (area, value) => {
      (area as HTMLTextAreaElement).value = value;
      area.dispatchEvent(new Event('input', { bubbles: true }));
    },
    pasted,
  );
  await page.select('#minutes', '');
  for (const [name, value] of Object.entries(options)) {
    await page.$eval(`#${name}`, (field) => ((field as HTMLInputElement).value = ''));
    await page.type(`#${name}`, String(value));
  }
}

/** A GPU that is computed on the CPU takes seconds for a step. In milliseconds. */
const LONGEST = 150_000;

async function train(page: Page, pasted = text, options?: Readonly<Record<string, number>>): Promise<void> {
  await fill(page, pasted, options);
  await page.click('#train');
  await page.waitForFunction(
    () =>
      document.querySelector('#announcement')!.textContent !== '' ||
      !document.querySelector<HTMLElement>('#failure')!.hidden,
    { timeout: LONGEST },
  );
}

/** Downloads the model, and unpacks it. @returns its folder */
async function download(page: Page, name: string): Promise<string> {
  const place = join(folder, name);
  mkdirSync(place);
  const session = await page.createCDPSession();
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: place });
  await page.click('#download');
  const archive = join(place, 'gpt.zip');
  while (!existsSync(archive)) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const [path, bytes] of Object.entries(unzipSync(readFileSync(archive)))) {
    mkdirSync(join(place, path, '..'), { recursive: true });
    writeFileSync(join(place, path), bytes);
  }
  return join(place, 'gpt');
}

describe.skipIf(chromiumPath === undefined)('the page that trains', () => {
  test('trains to the bytes of the command line, which continues the run', async () => {
    const { page, trouble } = await open();
    await train(page);
    expect(await textOf(page, '#status')).toMatch(
      /^Done after 30 steps\. Validation loss \d\.\d{3} nats per token\.$/,
    );
    const [, variant] = /wasm (\w+), 2 threads/.exec(await textOf(page, '#facts'))!;
    const model = await download(page, 'downloaded');
    expect(trouble).toEqual([]);
    await page.close();

    writeFileSync(join(folder, 'pasted.txt'), text);
    const env = { GPT_ENGINE: variant };
    const gpt = (...args: string[]) => run(args, { cwd: folder, env });
    const { code, stderr } = await gpt('train', 'pasted.txt', ...flags.split(' '), '-o', 'run');
    expect(code, stderr).toBe(0);
    expect(differences(bytesOf(model), bytesOf(join(folder, 'run')))).toEqual([]);

    const sampled = await gpt('sample', '-m', model, '--prompt', 'the', '--max-tokens', '20', '--seed', '1');
    expect(sampled.code, sampled.stderr).toBe(0);
    const resumed = await gpt('train', 'pasted.txt', '--resume', model, '--max-iters', '35');
    expect(resumed.code, resumed.stderr).toBe(0);
  });

  test(
    'trains on the GPU to the same loss',
    async ({ skip }) => {
      const withGpu = await startChromium(SOFTWARE_GPU);
      try {
        const { page } = await open({ by: withGpu });
        const hasGpu = await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) != null);
        skip(!hasGpu, 'this Chromium does not compute WebGPU on the CPU');
        await page.waitForSelector('#devices:not([hidden])');
        const ends: string[] = [];
        for (const device of ['cpu', 'webgpu']) {
          await page.select('#device', device);
          await train(page, text.slice(0, 400), {
            ...small,
            maxIters: 3,
            nLayer: 1,
            blockSize: 8,
            batchSize: 2,
            learningRate: 0.05, // so that three steps change the loss
          });
          ends.push(await textOf(page, '#status'));
          if (device === 'webgpu') expect(await textOf(page, '#facts')).toContain('webgpu');
        }
        expect(ends[0]).toMatch(/^Done after 3 steps\. Validation loss/);
        expect(ends[1]).toBe(ends[0]);
      } finally {
        await withGpu.close();
      }
    },
    LONGEST,
  );

  test('isolates itself where the server does not', async () => {
    const { page } = await open({ address: plain.address });
    await train(page, text, { ...small, maxIters: 2 });
    expect(await textOf(page, '#status')).toMatch(/^Done after 2 steps/);
    await page.close();
  });

  test('shows samples and curves while it trains, writes, and shows the inside of the model', async () => {
    const { page, trouble } = await open();
    await train(page);
    expect((await page.$$('#samples pre')).length).toBeGreaterThan(1);
    await page.focus('#loss');
    await page.keyboard.press('End');
    await page.waitForFunction(() =>
      document.querySelector('#loss-reading')!.textContent.startsWith('step 30: '),
    );

    await page.$eval('#prompt', (field) => ((field as HTMLInputElement).value = 'the whale'));
    await page.click('#write');
    await page.waitForFunction(() => !document.querySelector<HTMLButtonElement>('#write')!.disabled);
    const written = await textOf(page, '#written');
    expect(written).toMatch(/^the whale/);
    expect(written.length).toBeGreaterThan(100);

    await page.click('#look');
    const frame = (await (await page.waitForSelector('#report:not([hidden])'))!.contentFrame())!;
    await frame.waitForSelector('#chart-loss canvas');
    await frame.waitForSelector('#embedding-map text');
    expect(trouble).toEqual([]);
    await page.close();
  });

  test('keeps the view of the model up to date while it trains', async () => {
    const { page } = await open();
    await fill(page, text, { ...small, maxIters: 2000 });
    await page.click('#train');
    await page.waitForSelector('#result:not([hidden])');
    await page.click('#look');
    const frame = (await (await page.waitForSelector('#report:not([hidden])'))!.contentFrame())!;
    const steps = async (): Promise<number> =>
      Number(
        /trained for ([\d,]+) steps/
          .exec(await frame.$eval('.lead', (lead) => lead.textContent))![1]
          .replace(',', ''),
      );
    await frame.waitForSelector('.lead');
    const first = await steps();
    await frame.waitForFunction(
      (before) => !document.querySelector('.lead')?.textContent.includes(before),
      {},
      `for ${first} steps`,
    );
    expect(await steps()).toBeGreaterThan(first);
    await page.click('#stop');
    await page.waitForFunction(() => document.querySelector('#announcement')!.textContent !== '');
    await page.close();
  });

  test('stops when it is told, and keeps the model', async () => {
    const { page } = await open();
    await fill(page, text, { ...small, maxIters: 100_000 });
    await page.click('#train');
    await page.waitForFunction(() => document.querySelector('#status')!.textContent.startsWith('step '));
    await page.click('#stop');
    await page.waitForFunction(() => document.querySelector('#announcement')!.textContent !== '');
    expect(await textOf(page, '#status')).toMatch(/^Stopped after \d+ steps\.$/);
    const model = await download(page, 'stopped');
    const resumed = await run(['train', '--resume', model, '--minutes', '0.02'], { cwd: folder });
    expect(resumed.code, resumed.stderr).toBe(0);
    await page.close();
  });

  test('a text that is too short is refused in the words of the form, and the earlier model stays', async () => {
    const { page } = await open();
    await train(page);
    await train(page, 'short', small);
    const failure = await textOf(page, '#failure');
    expect(failure).toMatch(/^[A-Z].*\.$/);
    expect(failure).not.toContain('blockSize');
    expect((await textOf(page, '#result')).length).toBeGreaterThan(0);
    expect(existsSync(join(await download(page, 'earlier'), 'model.safetensors'))).toBe(true);
    expect(await page.$eval('#train', (button) => (button as HTMLButtonElement).disabled)).toBe(false);
    await page.close();
  });

  test.each([
    [390, 'light'],
    [390, 'dark'],
    [768, 'light'],
    [1400, 'dark'],
  ] as const)('fits a window %i wide, %s', async (width, scheme) => {
    const { page } = await open({ width, scheme });
    await train(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.close();
  });

  test.each(['light', 'dark'] as const)('passes the checks of axe-core, %s', async (scheme) => {
    const { page } = await open({ scheme });
    await train(page);
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
    const violations = await page.evaluate(
      'axe.run().then((found) => found.violations.map((each) => `${each.id}: ${each.nodes[0].html}`))',
    );
    expect(violations).toEqual([]);
    await page.close();
  });

  test('is used by keyboard alone', async () => {
    const { page } = await open();
    await fill(page, text, { ...small, maxIters: 2 });
    await page.focus('#seed');
    const visited: string[] = [];
    while (visited.at(-1) !== 'train' && visited.length < 20) {
      await page.keyboard.press('Tab');
      visited.push(await page.evaluate(() => document.activeElement!.id));
    }
    expect(visited).toContain('maxIters');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#announcement')!.textContent !== '');
    await page.close();
  });
});
