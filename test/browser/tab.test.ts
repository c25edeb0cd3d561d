/** The page that trains, in a real browser: from a text to a model folder, which has the bytes of the command line. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import type { Browser, HTTPRequest, Page } from 'puppeteer-core';
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

const isShown = (page: Page, selector: string): Promise<boolean> =>
  page.$eval(selector, (element) => (element as HTMLElement).checkVisibility());

/** Waits until the text of an element begins like this. */
const waitForText = async (page: Page, selector: string, start: string): Promise<unknown> =>
  page.waitForFunction(
    (where, what) => document.querySelector(where)!.textContent.startsWith(what),
    {},
    selector,
    start,
  );

async function chooseFiles(page: Page, ...paths: string[]): Promise<void> {
  const input = await page.$('input#file');
  await input!.uploadFile(...paths);
}

/** Pastes a text, if one is given, and fills in the form. */
async function fill(
  page: Page,
  pasted: string | undefined,
  options: Readonly<Record<string, number>> = small,
): Promise<void> {
  await page.waitForFunction(() => document.querySelector('#chosen') !== null);
  if (pasted !== undefined)
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
  await submit(page);
}

/** Trains, and waits for the end. */
async function submit(page: Page): Promise<void> {
  await page.click('#train');
  await page.waitForFunction(
    () =>
      document.querySelector('#announcement')!.textContent !== '' ||
      !document.querySelector<HTMLElement>('#failure')!.hidden,
    { timeout: LONGEST },
  );
}

/** Downloads the model, and unpacks it in a new folder. @returns the folder of the run */
async function download(page: Page, name: string, archived = 'pasted'): Promise<string> {
  const place = join(folder, name);
  mkdirSync(place);
  const session = await page.createCDPSession();
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: place });
  await page.click('#download');
  const archive = join(place, `${archived}.zip`);
  while (!existsSync(archive)) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const [path, bytes] of Object.entries(unzipSync(readFileSync(archive)))) {
    mkdirSync(join(place, path, '..'), { recursive: true });
    writeFileSync(join(place, path), bytes);
  }
  return join(place, archived);
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
    const { code, stderr } = await gpt('train', 'pasted.txt', ...flags.split(' '), '-o', 'pasted');
    expect(code, stderr).toBe(0);
    expect(differences(bytesOf(model), bytesOf(join(folder, 'pasted')))).toEqual([]);

    const sampled = await gpt('sample', '-m', model, '--prompt', 'the', '--max-tokens', '20', '--seed', '1');
    expect(sampled.code, sampled.stderr).toBe(0);
    const [where, what] = [{ cwd: dirname(model), env }, basename(model)]; // as the page says
    const resumed = await run(['train', '--resume', what, '--max-iters', '35'], where);
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
          expect((await textOf(page, '#facts')).includes('webgpu')).toBe(device === 'webgpu');
          expect(await isShown(page, '#resume-flags')).toBe(device === 'webgpu');
        }
        const model = await download(page, 'gpu');
        const resume = ['train', '--resume', basename(model), '--minutes', '0.02', '--device', 'cpu'];
        const resumed = await run(resume, { cwd: dirname(model) }); // as the page says
        expect(resumed.code, resumed.stderr).toBe(0);
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

    const example = await page.$eval('#prompt', (field) => (field as HTMLInputElement).placeholder);
    expect(example).toMatch(/^such as: \w/);
    await page.type('#prompt', 'the whale');
    await page.click('#write');
    await page.waitForFunction(() => !document.querySelector<HTMLButtonElement>('#write')!.disabled);
    const written = await textOf(page, '#written');
    expect(written).toMatch(/^the whale/);
    expect(written.length).toBeGreaterThan(100);

    await page.click('#look');
    const frame = (await (await page.waitForSelector('#report:not([hidden])'))!.contentFrame())!;
    await frame.waitForSelector('#chart-loss canvas');
    await frame.waitForSelector('#embedding-map text');
    expect(await frame.$eval('h1', (heading) => heading.textContent)).toContain('pasted');
    expect(trouble).toEqual([]);
    await page.close();
  });

  test('keeps the view of the model up to date while it trains', async () => {
    const { page } = await open();
    await fill(page, text, { ...small, maxIters: 100_000 });
    await page.click('#train');
    await page.waitForSelector('#result:not([hidden])');
    await page.click('#look');
    /** The report is replaced now and then, so it is read in one step. @returns how many steps it is about, once more than these */
    const stepsBeyond = async (steps: number): Promise<number> =>
      (await page
        .waitForFunction(
          (before) => {
            const lead = document
              .querySelector<HTMLIFrameElement>('#report')!
              .contentDocument?.querySelector('.lead');
            const shown = /trained for ([\d,]+) steps/.exec(lead?.textContent ?? '')?.[1].replaceAll(',', '');
            return Number(shown ?? 0) > before ? Number(shown) : undefined;
          },
          {},
          steps,
        )
        .then((found) => found.jsonValue()))!;
    const first = await stepsBeyond(0);
    expect(await stepsBeyond(first)).toBeGreaterThan(first);
    await page.click('#stop');
    await page.waitForFunction(() => document.querySelector('#announcement')!.textContent !== '');
    await page.close();
  });

  test('stops when it is told, and keeps the model', async () => {
    const { page } = await open();
    await fill(page, text, { ...small, maxIters: 100_000 });
    await page.click('#train');
    await waitForText(page, '#stop', 'Stop and keep the model');
    await page.click('#stop');
    await page.waitForFunction(() => document.querySelector('#announcement')!.textContent !== '');
    expect(await textOf(page, '#status')).toMatch(/^Stopped after [\d,]+ steps\.$/);
    const model = await download(page, 'stopped');
    const resumed = await run(['train', '--resume', basename(model), '--minutes', '0.02'], {
      cwd: dirname(model),
    });
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

  test('stops at once before the end of the first step of a large model, and keeps the one before', async () => {
    const { page, trouble } = await open();
    const measureLarge = async (): Promise<void> => {
      await fill(page, text, { nLayer: 1000 });
      await page.select('#minutes', '1');
      await page.click('#train');
      await waitForText(page, '#status', 'measuring this computer');
      await new Promise((resolve) => setTimeout(resolve, 1000)); // within a step
    };
    const stop = async (): Promise<void> => {
      const asked = performance.now();
      await page.click('#stop');
      await page.waitForSelector('#train:not(:disabled)');
      expect(performance.now() - asked).toBeLessThan(2000);
    };
    await measureLarge();
    await stop();
    expect(await isShown(page, '#training')).toBe(false);

    await train(page, text, { ...small, nLayer: 1 });
    const [facts, status] = [await textOf(page, '#facts'), await textOf(page, '#status')];
    expect(facts).toContain('1 layer of 16 channels');
    await measureLarge();
    expect(await isShown(page, '#facts')).toBe(false);
    expect(await isShown(page, '#earlier')).toBe(true);
    await stop();
    expect([await textOf(page, '#facts'), await textOf(page, '#status')]).toEqual([facts, status]);
    await fill(page, text, { ...small, maxIters: 10, nLayer: 1000, nEmbd: 64, blockSize: 32 });
    await page.click('#train');
    await waitForText(page, '#status', 'step 0 of 10'); // a step takes seconds
    expect(await textOf(page, '#facts')).toContain('1,000 layers');
    expect(await isShown(page, '#earlier')).toBe(true);
    await stop();
    expect([await textOf(page, '#facts'), await textOf(page, '#status')]).toEqual([facts, status]);
    expect(await isShown(page, '#course')).toBe(true);
    expect(existsSync(join(await download(page, 'before'), 'model.safetensors'))).toBe(true);
    expect(trouble).toEqual([]);
    await page.close();
  });

  test('trains on several files as the command line does', async () => {
    const { page } = await open();
    const paths = [text.slice(0, 3000), text.slice(3000)].map((part, i) => {
      const path = join(folder, `part ${i + 1}.txt`);
      writeFileSync(path, part);
      return path;
    });
    await chooseFiles(page, ...paths);
    await waitForText(
      page,
      '#chosen',
      `part 1.txt and part 2.txt, ${text.length.toLocaleString('en')} bytes together.`,
    );
    await fill(page, undefined);
    await submit(page);
    const [, variant] = /wasm (\w+), 2 threads/.exec(await textOf(page, '#facts'))!;
    const model = await download(page, 'several', 'part-1');
    expect((await textOf(page, '#result')).replaceAll(/\s+/g, ' ')).toContain(
      'gpt train --resume part-1 --minutes 10',
    );
    await page.close();

    const where = { cwd: folder, env: { GPT_ENGINE: variant } };
    const trained = await run(
      ['train', 'part 1.txt', 'part 2.txt', ...flags.split(' '), '-o', 'part-1'],
      where,
    );
    expect(trained.code, trained.stderr).toBe(0);
    expect(differences(bytesOf(model), bytesOf(join(folder, 'part-1')))).toEqual([]);
    const resumed = await run(['train', '--resume', 'part-1', '--minutes', '0.02'], { cwd: dirname(model) });
    expect(resumed.code, resumed.stderr).toBe(0);
  });

  test('a text with a colon in its name is downloaded with its model', async () => {
    const { page } = await open();
    const name = 'notes: day 1.txt';
    writeFileSync(join(folder, name), text);
    await chooseFiles(page, join(folder, name));
    await waitForText(page, '#chosen', `${name}, `);
    await fill(page, undefined, { ...small, maxIters: 2 });
    await submit(page);
    const model = await download(page, 'colon', 'notes-day-1');
    expect(readFileSync(join(dirname(model), name), 'utf8')).toBe(text);
    await page.close();
  });

  test('trains on no earlier text while another one is read, or if it cannot be', async () => {
    const { page } = await open();
    const asked = new Promise<HTTPRequest>((resolve) => {
      page.on('request', (request) => {
        if (request.url().endsWith('moby-dick.txt')) resolve(request);
        else void request.continue();
      });
    });
    await page.setRequestInterception(true);
    await fill(page, text);
    const isReady = (): Promise<boolean> => page.$eval('#train', (button) => !button.matches(':disabled'));
    expect(await isReady()).toBe(true);
    await page.click('#example');
    const request = await asked;
    expect(await textOf(page, '#chosen')).toBe('Reading moby-dick.txt …');
    expect(await isReady()).toBe(false);
    await request.abort('internetdisconnected');
    await waitForText(page, '#chosen', 'moby-dick.txt could not be loaded from the server of this page.');
    expect(await isReady()).toBe(false);
    await page.close();
  });

  test('a run whose program cannot be loaded ends with advice that keeps the earlier model', async () => {
    const { server, address } = await serve(join(root, 'dist', 'web'), ISOLATED);
    const { page } = await open({ address });
    await train(page, text, { ...small, maxIters: 2 });
    const status = await textOf(page, '#status');
    server.close();
    server.closeAllConnections();
    await page.click('#train');
    await page.waitForSelector('#failure:not([hidden])');
    expect(await textOf(page, '#failure')).toBe(
      'The program that trains could not be loaded. Download the model below before you reload the page.',
    );
    expect(await textOf(page, '#status')).toBe(status);
    await page.waitForSelector('#train:not(:disabled)');
    expect(existsSync(join(await download(page, 'unserved'), 'model.safetensors'))).toBe(true);
    await page.close();
  });

  test('a text without content cannot be trained on', async () => {
    const { page } = await open();
    writeFileSync(join(folder, 'empty.txt'), '');
    writeFileSync(join(folder, 'blank.txt'), ' \n\t\r\n');
    const isRefused = (): Promise<boolean> =>
      page.$eval('#train', (button) => (button as HTMLButtonElement).disabled);
    await chooseFiles(page, join(folder, 'empty.txt'), join(folder, 'blank.txt'));
    await waitForText(page, '#chosen', 'empty.txt is empty. blank.txt contains only whitespace.');
    expect(await isRefused()).toBe(true);
    await fill(page, text);
    expect(await isRefused()).toBe(false);
    await fill(page, '   ');
    expect(await textOf(page, '#chosen')).toBe('No text yet.');
    expect(await isRefused()).toBe(true);
    await page.close();
  });

  test('the error of a file is shown until another is chosen', async () => {
    const { page } = await open();
    writeFileSync(join(folder, 'bin'), Buffer.from(text, 'utf16le'));
    await chooseFiles(page, join(folder, 'bin'));
    await waitForText(page, '#chosen', 'bin, ');
    await page.click('#train');
    await page.waitForSelector('#failure:not([hidden])');
    expect(await textOf(page, '#failure')).toBe(
      'bin is not a text file: byte 1 is NUL. If it is a text, save it as UTF-8.',
    );
    expect(await isShown(page, '#training')).toBe(false);
    await fill(page, text);
    expect(await isShown(page, '#failure')).toBe(false);
    await page.close();
  });

  test('a run that diverges ends in the words of the form', async () => {
    const { page } = await open();
    await train(page, text, { ...small, maxIters: 5000, learningRate: 1e9 });
    expect(await textOf(page, '#status')).toMatch(/^Failed after [\d,]+ steps?\.$/);
    const failure = await textOf(page, '#failure');
    expect(failure).toMatch(/^Training diverged at step .* choose a lower “Learning rate”\.$/s);
    expect(failure).not.toMatch(/--|resume|learningRate|warmup/);
    await page.close();
  });

  test('asks for a number of steps', async () => {
    const { page } = await open();
    await fill(page, text, {});
    await page.click('#train');
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('maxIters');
    expect(await isShown(page, '#training')).toBe(false);
    await page.type('#maxIters', '7');
    await page.select('#minutes', '1');
    expect(await page.$eval('#maxIters', (field) => (field as HTMLInputElement).value)).toBe('');
    await page.close();
  });

  test('says why a short text takes less than its time, and how long it takes', async () => {
    const { page } = await open();
    await fill(page, text.slice(0, 1500), { nLayer: 1, nEmbd: 16 });
    await page.select('#minutes', '3');
    await page.click('#train');
    await page.waitForSelector('#caution:not([hidden])');
    expect(await textOf(page, '#caution')).toMatch(/^It takes about .*, not 3 minutes: the text is short/);
    await page.click('#stop');
    await page.close();
  });

  test.each([390, 1000])(
    'no choice is clipped in a window %i wide, and labels are unambiguous',
    async (width) => {
      const { page } = await open({ width });
      await page.evaluate(() => {
        document.querySelector<HTMLElement>('#devices')!.hidden = false;
        document.querySelector<HTMLElement>('#result')!.hidden = false;
      });
      const clipped = await page.$$eval('select', (selects) =>
        selects.flatMap((select) => {
          const style = getComputedStyle(select);
          const context = document.createElement('canvas').getContext('2d')!;
          context.font = style.font;
          const arrow = 24; // in pixels, with its distance from the text
          const room =
            select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
          return Array.from(select.options, ({ text: shown }) => shown).filter(
            (shown) => context.measureText(shown).width > room,
          );
        }),
      );
      expect(clipped).toEqual([]);
      const labels = await page.$$eval('label', (all) =>
        all.map((label) => label.firstChild!.textContent!.trim()),
      );
      expect(new Set(labels).size).toBe(labels.length);
      const tops = await page.$$eval('label[for=file], #example', (all) =>
        all.map((each) => {
          const range = document.createRange();
          range.selectNodeContents(each);
          return [each.getBoundingClientRect().top, range.getBoundingClientRect().top];
        }),
      );
      if (width > 600) expect(tops[0]).toEqual(tops[1]);
      await page.close();
    },
  );

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
