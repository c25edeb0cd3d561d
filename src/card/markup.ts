/** YAML and Markdown with untrusted text, such as file names, which must not change the structure of a card. */

/**
 * A YAML scalar. A JSON string is one once characters are escaped that YAML considers unprintable or line breaks (YAML 1.2,
 * section 5.1).
 */
export const yamlString = (text: string): string =>
  JSON.stringify(text.toWellFormed()).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** A value of the metadata: a number, or text. */
export type YamlValue = string | number | readonly YamlValue[] | { readonly [key: string]: YamlValue };

/** Lines of a block mapping. Keys are plain words. */
export function yaml(value: YamlValue, indent = ''): string {
  if (typeof value === 'number') return `${indent}${value}\n`;
  if (typeof value === 'string') return `${indent}${yamlString(value)}\n`;
  if (isList(value))
    return value.map((item) => `${indent}- ${yaml(item, `${indent}  `).trimStart()}`).join('');
  return Object.entries(value)
    .map(([key, each]) =>
      typeof each === 'object'
        ? `${indent}${key}:\n${yaml(each, `${indent}  `)}`
        : `${indent}${key}: ${yaml(each)}`,
    )
    .join('');
}

const isList = (value: YamlValue): value is readonly YamlValue[] => Array.isArray(value);

/** Replaces control characters, which Markdown does not allow, with spaces. */
const plain = (text: string): string =>
  text.toWellFormed().replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, ' ');

/** Escapes text so that none of it is markup. */
export const prose = (text: string): string => plain(text).replace(/[\\`*_{}[\]<>#|!~&$]/g, '\\$&');

/** A fence of backticks longer than any in a text. */
const fence = (text: string, shortest: number): string =>
  '`'.repeat(Math.max(shortest, 1 + Math.max(0, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length))));

/** A code span, which may be in a table. */
export function code(text: string): string {
  const content = plain(text).replaceAll('|', '\\|');
  const ticks = fence(content, 1);
  const space = /^`|`$|^ .* $/.test(content) ? ' ' : '';
  return ticks + space + content + space + ticks;
}

export function codeBlock(language: string, text: string): string {
  const ticks = fence(text, 3);
  return `${ticks}${language}\n${text}\n${ticks}\n`;
}

/** A table of two columns without a header. */
export const table = (rows: readonly (readonly [string, string])[]): string =>
  `| | |\n|---|---|\n${rows.map(([name, value]) => `| ${name} | ${value} |\n`).join('')}`;
