/** Changes of a text that arrives in chunks. */

/**
 * Receives a chunk and returns the changed text that later chunks cannot influence.
 *
 * @param final whether the text ends here; then the rest is returned, and another text may follow
 */
export type TextStep = (text: string, final: boolean) => string;

export const inOrder = (steps: readonly TextStep[]): TextStep =>
  steps.length === 1
    ? steps[0]
    : (text, final) => steps.reduce((changed, step) => step(changed, final), text);

/**
 * A step that holds back the end of the text.
 *
 * @param settled how much of a text can be changed now, in UTF-16 units; `known` is the length that was held back before,
 * in which nothing was settled
 */
export function heldBack(
  change: (text: string) => string,
  settled: (text: string, known: number) => number,
): TextStep {
  let held = '';
  return (chunk, final) => {
    const text = held + chunk;
    const end = final ? text.length : settled(text, held.length);
    held = text.slice(end);
    return end === 0 ? '' : change(text.slice(0, end));
  };
}

/** Puts a text before the first character. @param isContinued whether the first text has it already */
export function prepended(prefix: string, isContinued: boolean): TextStep {
  let isStart = !isContinued;
  return (text, final) => {
    const changed = isStart && text !== '' ? prefix + text : text;
    isStart = final || (isStart && text === '');
    return changed;
  };
}

/** Replaces all occurrences of a text, which is not empty. */
export function replaced(pattern: string, content: string): TextStep {
  let held = '';
  return (chunk, final) => {
    const parts = (held + chunk).split(pattern);
    const last = parts.pop()!;
    const open = final ? 0 : overlap(last, pattern);
    held = last.slice(last.length - open);
    return [...parts, last.slice(0, last.length - open)].join(content);
  };
}

/** Length of the longest suffix of a text that is a proper prefix of the pattern. */
function overlap(text: string, pattern: string): number {
  for (let length = Math.min(text.length, pattern.length - 1); length > 0; length--)
    if (pattern.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
