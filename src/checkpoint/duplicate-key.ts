/**
 * The first name that an object in a JSON text has twice, or undefined. `JSON.parse` silently keeps the last of them, so a
 * file could show one tensor to one reader and another to the next.
 *
 * @param text valid JSON
 */
export function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // the names of each object that is open; undefined for arrays
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{') open.push(new Set());
    else if (c === '[') open.push(undefined);
    else if (c === '}' || c === ']') open.pop();
    else if (c === '"') {
      const end = stringEnd(text, i);
      const names = open.at(-1);
      if (names !== undefined && text[afterSpace(text, end + 1)] === ':') {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        if (names.has(key)) return key;
        names.add(key);
      }
      i = end;
    }
  }
  return undefined;
}

function afterSpace(text: string, i: number): number {
  while (' \t\n\r'.includes(text[i])) i++;
  return i;
}

/** Where the string that starts at `start` has its closing quote. */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}
