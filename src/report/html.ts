/** HTML as tagged template literals, in which every value is escaped unless it is itself such HTML. */

export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Content = Html | string | number | undefined | readonly Content[];

/** Markup with values: html`<td>${name}</td>`. Lists are joined; undefined is empty. */
export const html = (parts: TemplateStringsArray, ...values: readonly Content[]): Html =>
  new Html(parts.map((part, i) => part + (i < values.length ? textOf(values[i]) : '')).join(''));

function textOf(value: Content): string {
  if (value instanceof Html) return value.text;
  if (value === undefined) return '';
  return typeof value === 'object' ? value.map(textOf).join('') : escapeHtml(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for use between tags and in quoted attributes. NUL, which HTML cannot contain, becomes U+FFFD. */
const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character]).replaceAll('\0', '\uFFFD');

/** Embeds data for a page's scripts. No text in it can close the element or open a comment. */
export const scriptJson = (id: string, value: unknown): Html =>
  new Html(
    `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>\n`,
  );
