/**
 * Python's `strip`, `lstrip` and `rstrip`, and the filter `trim`. The interpreter's versions ignore their argument and
 * strip JavaScript's white space instead of Python's, so calls to them are rewritten as calls to a function defined here.
 */

const NAMES: readonly unknown[] = ['strip', 'lstrip', 'rstrip'];

/** Variables that the changed template needs. */
export const stripGlobals = {
  python_strip: (text: unknown, characters?: unknown) => stripped(text, characters, true, true),
  python_lstrip: (text: unknown, characters?: unknown) => stripped(text, characters, true, false),
  python_rstrip: (text: unknown, characters?: unknown) => stripped(text, characters, false, true),
};

/** A node of a parsed template. */
type Node = Record<string, unknown>;

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

/** Rewrites the calls in a parsed template, in place. */
export function replaceStripCalls(root: object): void {
  const waiting: unknown[] = [root];
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (!isNode(node)) continue;
    if (node instanceof Map) waiting.push(...node.keys(), ...node.values());
    else waiting.push(...Object.values(node));
    replaceCall(node);
  }
}

function replaceCall(node: Node): void {
  const { type, callee, args, filter, operand } = node;
  if (type === 'CallExpression' && isNode(callee) && callee['type'] === 'MemberExpression') {
    const property = callee['property'] as Node;
    if (callee['computed'] === true || !NAMES.includes(property['value'])) return;
    node['args'] = [callee['object'], ...(args as unknown[])];
    node['callee'] = { ...property, value: `python_${String(property['value'])}` };
  } else if (type === 'FilterExpression' && isNode(filter) && filter['value'] === 'trim') {
    node['type'] = 'CallExpression';
    node['callee'] = { ...filter, value: 'python_strip' };
    node['args'] = [operand];
  }
}

/** The white space of Python's `str.strip`. */
const WHITE_SPACE = '\t\n\v\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000';
const isSpace = (character: string): boolean =>
  WHITE_SPACE.includes(character) || (character >= '\u2000' && character <= '\u200a');

function stripped(text: unknown, characters: unknown, atStart: boolean, atEnd: boolean): string {
  if (typeof text !== 'string') throw new Error('only text can be stripped');
  const points = Array.from(text);
  const set = typeof characters === 'string' ? new Set(characters) : undefined;
  const kept = (point: string): boolean => !(set === undefined ? isSpace(point) : set.has(point));
  const start = atStart ? points.findIndex(kept) : 0;
  const end = atEnd ? points.findLastIndex(kept) + 1 : points.length;
  return start < 0 ? '' : points.slice(start, end).join('');
}
