/** Output of all `--json` flags. */
import { controlOrBidi, hex, print } from './terminal.ts';

/**
 * JSON that is safe on a terminal: control characters that JSON.stringify does not escape (delete, C1, bidirectional
 * controls) become `\uXXXX`, which every parser decodes.
 */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(controlOrBidi, (character) =>
    character === '\n' ? character : `\\u${hex(character.charCodeAt(0), 4)}`,
  );

/** Prints a value on its own line. @param indent spaces per level, for values that people read too */
export const printJson = (value: unknown, indent?: number): Promise<void> =>
  print(`${jsonText(value, indent)}\n`);
