/** How every `--json` is written. */
import { controlOrBidi, hex, print } from './terminal.ts';

/**
 * A value as JSON that is safe on a terminal: control characters that JSON.stringify leaves unescaped (delete, C1, bidirectional
 * controls) are written as `\uXXXX`, which every parser reads back.
 */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(controlOrBidi, (character) =>
    character === '\n' ? character : `\\u${hex(character.charCodeAt(0), 4)}`,
  );

/** Prints a value on a line of its own. @param indent spaces per level, for values that people read too */
export const printJson = (value: unknown, indent?: number): Promise<void> =>
  print(`${jsonText(value, indent)}\n`);
