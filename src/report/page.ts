/** The frame of a report: a self-contained HTML file. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { REPORT_GENERATOR } from '../checkpoint/own-files.ts';
import type { PageData } from './browser/page-data.ts';
import { html, Html, scriptJson } from './html.ts';

export interface Section {
  /** Anchor of the section. */
  readonly id: string;
  readonly title: string;
  readonly content: Html;
}

export interface Page {
  readonly title: string;
  /** One-line description. */
  readonly lead: string;
  readonly sections: readonly Section[];
  readonly data: PageData;
}

const SCRIPTS = ['charts', 'embedding-map', 'attention'] as const;

/** The complete file. Its content security policy allows only the scripts in it and no loading. */
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

/**
 * An element that contains code. Its text must stay exactly as it is, including white space, since the policy allows it by
 * hash.
 */
const element = (name: 'script' | 'style', code: string): Html => new Html(`<${name}>${code}</${name}>\n`);

/** Scripts are compiled into the folder of this file's compiled form, where the sources find them as well. */
const builtScript = (name: string): string =>
  readFileSync(new URL(`../../dist/report/browser/${name}.js`, import.meta.url), 'utf8');
