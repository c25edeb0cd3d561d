/** A token's text with white space as signs, so that it can be seen: `␣whale`, `↵`. */
export const visible = (text: string): string =>
  text.replaceAll(' ', '␣').replaceAll('\n', '↵').replaceAll('\t', '⇥') || '∅';
