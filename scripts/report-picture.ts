/**
 * Takes a screenshot of a report for the README: docs/pictures/report.png. Needs Chromium (test/browser/chromium.ts).
 *
 *     npx tsx scripts/report-picture.ts REPORT.html
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startChromium } from '../test/browser/chromium.ts';

const [report] = process.argv.slice(2);
const browser = await startChromium();
try {
  const page = await browser.newPage();
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  await page.setViewport({ width: 1100, height: 945 });
  await page.goto(pathToFileURL(report).href);
  await page.screenshot({
    path: fileURLToPath(new URL('../docs/pictures/report.png', import.meta.url)),
  });
} finally {
  await browser.close();
}
