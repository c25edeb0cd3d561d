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

/**
 * An object with its keys, and those of objects within, in snake_case, as all `--json` output has them. For objects whose keys
 * are names in the code, not for those whose keys are data.
 */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}

/** Prints a value on its own line. @param indent spaces per level, for values that people read too */
export const printJson = (value: unknown, indent?: number): Promise<void> =>
  print(`${jsonText(value, indent)}\n`);
