/**
 * Parses untrusted JSON. `JSON.parse` silently keeps the last of two equal keys, so a file could mean different things to
 * different readers, and it accepts any depth of nesting.
 */

/** Nothing read here nests deeper than five; more would only cost time and stack. */
const DEEPEST = 100;

/**
 * Parses a JSON object.
 *
 * @param fail throws; receives a message such as 'is not a JSON object'
 */
export function parseJsonObject(text: string, fail: (what: string) => never): Record<string, unknown> {
  if (text.trim() === '') return fail('is empty');
  if (isDeeperThan(text, DEEPEST)) return fail(`is JSON nested more than ${DEEPEST} deep`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('is not JSON');
  }
  if (!isJsonObject(value)) return fail('is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) return fail(`has the key ${shownJson(twice)} twice in one object`);
  return value;
}

export const isJsonObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Maximum length of a value in a message, in characters. */
const LONGEST = 60;

/** An untrusted value for a message: JSON on one line, truncated; `missing` for undefined. */
export function shownJson(value: unknown): string {
  if (typeof value === 'number') return String(value); // 1e999 in a file is Infinity, which JSON.stringify turns to null
  if (typeof value === 'string' && value.length > LONGEST)
    return JSON.stringify(`${value.slice(0, LONGEST).toWellFormed()}…`);
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > LONGEST ? `${text.slice(0, LONGEST).toWellFormed()}…` : text;
}

/** True if brackets outside of strings nest deeper than `limit`. The text may be invalid JSON. */
function isDeeperThan(text: string, limit: number): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = stringEnd(text, i);
    else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      if (++depth > limit) return true;
    } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) depth--;
  }
  return false;
}

/** The first duplicate key of an object in valid JSON, or undefined. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // keys of each open object; undefined for arrays
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === OPEN_BRACE) open.push(new Set());
    else if (c === OPEN_BRACKET) open.push(undefined);
    else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) open.pop();
    else if (c === QUOTE) {
      const end = stringEnd(text, i);
      const names = open.at(-1);
      if (names !== undefined && text[afterSpace(text, end + 1)] === ':') {
        const written = text.slice(i + 1, end);
        const key = written.includes('\\') ? (JSON.parse(`"${written}"`) as string) : written;
        if (names.has(key)) return key;
        names.add(key);
      }
      i = end;
    }
  }
  return undefined;
}

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = Array.from('"\\{}[]', (c) =>
  c.charCodeAt(0),
);

function afterSpace(text: string, i: number): number {
  while (i < text.length && ' \t\n\r'.includes(text[i])) i++;
  return i;
}

/** Index of the closing quote of the string that starts at `start`, or the end of the text. */
function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

/** True if the character is preceded by an odd number of backslashes. */
function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text.charCodeAt(start - 1) === BACKSLASH) start--;
  return (at - start) % 2 === 1;
}
