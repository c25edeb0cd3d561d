/**
 * Keeps pasted text on one line. Terminals with bracketed paste mode (xterm, 2002) mark the start and end of a paste;
 * others send it in a single read, line ends included. In both cases a pasted line break becomes the two characters `\n`,
 * as a user would type it; only the Enter key ends the line.
 */

/** Enable and disable bracketed paste mode. */
export const PASTE_MARKS_ON = '\u001b[?2004h';
export const PASTE_MARKS_OFF = '\u001b[?2004l';

const ESCAPE = '\u001b';
const START = '\u001b[200~';
const END = '\u001b[201~';

export interface TypedText {
  /**
   * Returns what to pass to the line editor, up to and including the first typed line end. The rest is kept for the next
   * call.
   */
  push(text: string): string;
  /** Starts the next line. */
  nextLine(): void;
}

export function createTypedText(): TypedText {
  let rest = '';
  let isPasting = false;
  let isComplete = false;

  /** Removes the editor's part from the front of the rest. */
  const nextInput = (): string => {
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
        // Typed keys arrive in separate reads, so a carriage return followed by text was pasted.
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
      return nextInput();
    },
    nextLine() {
      isComplete = false;
    },
  };
}

/** Length of the longest suffix of a text that may start a paste marker. */
function partOf(mark: string, text: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}

/** Pasted text as it would be typed on one line: see escapedText in sampling-settings.ts. Control characters are removed. */
const asTyped = (text: string): string =>
  text
    .replaceAll('\\', '\\\\')
    .replace(/\r\n?|\n/g, '\\n')
    .replaceAll('\t', '\\t')
    .replace(/\p{Cc}/gu, '');
