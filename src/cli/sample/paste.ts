/**
 * Several lines pasted into a line that is being typed. A terminal that knows bracketed paste mode (xterm, 2002) marks where a
 * paste starts and ends; one that does not sends it in one go, line ends included. Either way the pasted line breaks become
 * `\n`, as they would be typed, and stay on the line until Enter is pressed.
 */

/** Switch bracketed paste mode on and off. */
export const PASTE_MARKS_ON = '\u001b[?2004h';
export const PASTE_MARKS_OFF = '\u001b[?2004l';

const ESCAPE = '\u001b';
const START = '\u001b[200~';
const END = '\u001b[201~';

export interface TypedText {
  /**
   * What to pass to a line editor of the terminal's next input: up to and including the first typed line end. The rest is kept
   * for the next call.
   */
  push(text: string): string;
  /** Starts with the next line. */
  nextLine(): void;
}

export function createTypedText(): TypedText {
  let rest = '';
  let isPasting = false;
  let isComplete = false;

  /** Takes what the editor may have from the front of the rest. */
  const take = (): string => {
    let given = '';
    while (rest !== '' && !isComplete) {
      if (isPasting) {
        const end = rest.indexOf(END);
        const until = end >= 0 ? end : rest.length - partOf(END, rest) - (rest.endsWith('\r') ? 1 : 0);
        given += asTyped(rest.slice(0, until));
        rest = rest.slice(end >= 0 ? end + END.length : until);
        if (end < 0) return given;
        isPasting = false;
        continue;
      }
      const start = rest.indexOf(START);
      const lineEnd = /\r\n?|\n/.exec(rest);
      if (start >= 0 && (lineEnd === null || start < lineEnd.index)) {
        given += rest.slice(0, start);
        rest = rest.slice(start + START.length);
        isPasting = true;
      } else if (lineEnd === null) {
        const until = rest.length - partOf(START, rest);
        given += rest.slice(0, until);
        rest = rest.slice(until);
        return given;
      } else {
        const after = lineEnd.index + lineEnd[0].length;
        given += rest.slice(0, lineEnd.index);
        // Typed keys arrive in separate reads: a carriage return with text after it was pasted.
        const isPasted = lineEnd[0] !== '\n' && after < rest.length && rest[after] !== ESCAPE;
        given += isPasted ? '\\n' : '\r';
        rest = rest.slice(after);
        isComplete = !isPasted;
      }
    }
    return given;
  };

  return {
    push(text) {
      rest += text;
      return take();
    },
    nextLine() {
      isComplete = false;
    },
  };
}

/** Length of the longest suffix of a text that may be the start of a paste marker. */
function partOf(mark: string, text: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}

/** Pasted text as it would be typed on one line: see escapedText in settings.ts. Control characters are left out. */
const asTyped = (text: string): string =>
  text
    .replaceAll('\\', '\\\\')
    .replace(/\r\n?|\n/g, '\\n')
    .replaceAll('\t', '\\t')
    .replace(/\p{Cc}/gu, '');
