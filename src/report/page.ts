/** The frame of a report: one HTML file that needs nothing else, from disk or from anywhere. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { REPORT_GENERATOR } from '../checkpoint/own-files.ts';
import type { PageData } from './browser/page-data.ts';
import { html, Html, scriptJson } from './html.ts';

export interface Section {
  /** Of the link to it. */
  readonly id: string;
  readonly title: string;
  readonly content: Html;
}

export interface Page {
  readonly title: string;
  /** What it is about, in a line. */
  readonly lead: string;
  readonly sections: readonly Section[];
  readonly data: PageData;
}

const SCRIPTS = ['charts', 'embedding-map', 'attention'] as const;

/** The whole file. Its policy lets no script run but those it came with, and nothing be loaded. */
export function renderPage({ title, lead, sections, data }: Page): string {
  const resolve = createRequire(import.meta.url).resolve;
  const scripts = [
    readFileSync(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    ...SCRIPTS.map((name) => builtScript(name)),
  ];
  const styles = [
    readFileSync(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
    readFileSync(new URL('../../src/report/browser/page.css', import.meta.url), 'utf8'),
  ];
  const policy = [
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    `script-src ${scripts.map((script) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`).join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="generator" content="${REPORT_GENERATOR}" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        ${element('style', styles.join('\n'))}
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header>
          <h1>${title}</h1>
          <p class="lead">${lead}</p>
          <nav aria-label="Sections">
            <ul>
              ${sections.map(({ id, title: name }) => html`<li><a href="#${id}">${name}</a></li>`)}
            </ul>
          </nav>
        </header>
        <main id="main" tabindex="-1">
          ${sections.map(
            (section) =>
              html`<section id="${section.id}" aria-labelledby="${section.id}-title">
                <h2 id="${section.id}-title">${section.title}</h2>
                ${section.content}
              </section> `,
          )}
        </main>
        <footer><p>Written by gpt report. The charts are drawn with uPlot.</p></footer>
        ${scriptJson('page-data', data)} ${scripts.map((script) => element('script', script))}
      </body>
    </html> `;
  return page.text;
}

/** An element whose text is code: nothing may be added to it, not even white space, as its hash says what may run. */
const element = (name: 'script' | 'style', code: string): Html => new Html(`<${name}>${code}</${name}>\n`);

/** The scripts are compiled beside this file's own compiled form, and found there from the sources too. */
const builtScript = (name: string): string =>
  readFileSync(new URL(`../../dist/report/browser/${name}.js`, import.meta.url), 'utf8');
