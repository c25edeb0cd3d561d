/** Wraps messages at words on a terminal. */
import stringWidth from 'string-width';

/** A command to copy: in backticks, or after a colon up to the end or the pointer to the help. */
const COMMAND = /`[^`]+`|(?<=: )(?:gpt|npx|node|npm|hf|python|cp|mkdir|shuf|cat|tr) .*?(?=; see |$)/g;
const SPACE_IN_COMMAND = '\0';

/**
 * Wraps a line at words. A command is never broken, because copying would then fail: if it does not fit, it starts on its
 * own line, where the terminal wraps it.
 *
 * @param text may contain colors, which take no columns
 * @param width in columns; Chinese characters and emoji take two, combining marks none
 * @param indent of every line but the first
 */
export function wrapMessage(text: string, width: number, indent = '  '): string {
  const lines: string[] = [];
  const joined = text.replace(COMMAND, (command) => command.replaceAll(' ', SPACE_IN_COMMAND));
  const [first, ...words] = joined.split(' ');
  let line = first;
  for (const word of words) {
    if (columnsOf(line) > 0 && columnsOf(line) + 1 + columnsOf(word) > width) {
      lines.push(line);
      line = indent + word;
    } else line += ` ${word}`;
  }
  return [...lines, line].join('\n').replaceAll(SPACE_IN_COMMAND, ' ');
}

const columnsOf = (text: string): number => stringWidth(text.replaceAll(SPACE_IN_COMMAND, ' '));
