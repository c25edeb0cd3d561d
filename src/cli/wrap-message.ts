/** Messages on a terminal, broken at words. */

/** A command to copy: in backticks, or behind a colon up to the end or the pointer to the help. */
const COMMAND = /`[^`]+`|(?<=: )(?:gpt|npx|node|npm|hf|python|cp|mkdir|shuf|cat) .*?(?=; see |$)/g;
const SPACE_IN_COMMAND = '\0';

/**
 * Breaks a line of text at words. A command is never broken, as it would not survive being copied: if it does not fit, it starts
 * on a line of its own, where the terminal wraps it.
 *
 * @param width in columns, each taken to hold one UTF-16 unit
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
