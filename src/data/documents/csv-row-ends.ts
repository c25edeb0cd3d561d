/**
 * Rewrites the line breaks that end rows of CSV, \r\n or \r, as \n, so that a file may mix them. Those inside quotes belong to
 * a field and are kept.
 */

type State = 'start of a field' | 'field' | 'quoted field' | 'after a closing quote';

/** @param delimiter of fields, one character */
export function uniformRowEnds(delimiter: string): { push(text: string): string; end(): string } {
  const fieldEnd = new RegExp(`[\\r\\n${delimiter}]`, 'gu');
  let state: State = 'start of a field';
  let hasReturn = false; // the text so far ended in \r outside quotes
  /** Index from which on the state may change. */
  const nextChange = (text: string, at: number): number => {
    if (state === 'quoted field') return text.indexOf('"', at);
    if (state !== 'field') return at;
    fieldEnd.lastIndex = at;
    return fieldEnd.exec(text)?.index ?? -1;
  };
  return {
    push(text) {
      if (text === '') return '';
      let out = hasReturn ? '\n' : '';
      let start = hasReturn && text.startsWith('\n') ? 1 : 0;
      hasReturn = false;
      for (let i = start; i < text.length; i++) {
        i = nextChange(text, i);
        if (i < 0) break;
        state = next(state, text[i], delimiter);
        if (text[i] !== '\r' || state !== 'start of a field') continue;
        out += text.slice(start, i);
        hasReturn = i + 1 === text.length;
        if (!hasReturn) out += '\n';
        start = text[i + 1] === '\n' ? i + 2 : i + 1;
        i = start - 1;
      }
      return out + text.slice(start);
    },
    end: () => (hasReturn ? '\n' : ''),
  };
}

/** A quote opens a field only at its start. One that is neither doubled nor followed by a delimiter does not close it. */
function next(state: State, character: string, delimiter: string): State {
  if (state === 'quoted field') return character === '"' ? 'after a closing quote' : state;
  if (character === '"' && state !== 'field') return 'quoted field';
  if (character === delimiter || character === '\n' || character === '\r') return 'start of a field';
  return state === 'after a closing quote' && character !== ' ' ? 'quoted field' : 'field';
}
