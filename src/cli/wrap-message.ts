/** Wraps messages at words on a terminal. */

/** A command to copy: in backticks, or after a colon up to the end or the pointer to the help. */
const COMMAND = /`[^`]+`|(?<=: )(?:gpt|npx|node|npm|hf|python|cp|mkdir|shuf|cat) .*?(?=; see |$)/g;
const SPACE_IN_COMMAND = '\0';

/**
 * Wraps a line at words. A command is never broken, because copying would then fail: if it does not fit, it starts on its
 * own line, where the terminal wraps it.
 *
 * @param width in columns, one per UTF-16 unit
 */
export function wrapMessage(text: string, width: number): string {
  const lines: string[] = [];
  let line = '';
  const joined = text.replace(COMMAND, (command) => command.replaceAll(' ', SPACE_IN_COMMAND));
  for (const word of joined.split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = ' ';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].join('\n').replaceAll(SPACE_IN_COMMAND, ' ');
}
