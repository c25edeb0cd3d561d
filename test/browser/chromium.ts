/** Finds an installed Chromium or Chrome and starts it for tests. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { launch, type Browser } from 'puppeteer-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const ELSEWHERE = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/** The path of the browser: CHROME_PATH, or one of the usual names. Undefined if there is none. */
export const chromiumPath: string | undefined = [
  process.env['CHROME_PATH'] ?? '',
  ...(process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name))),
  ...ELSEWHERE,
].find((path) => path !== '' && existsSync(path));

/** What makes Chromium compute WebGPU's programs on the CPU. */
export const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** With a profile of its own, which is removed when it closes. */
export const startChromium = (gpu: readonly string[] = ['--disable-gpu']): Promise<Browser> =>
  launch({
    executablePath: chromiumPath!,
    headless: true,
    args: ['--no-sandbox', ...gpu, '--no-first-run', '--disable-background-networking'],
  });
