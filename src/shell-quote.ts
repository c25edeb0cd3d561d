/**
 * Quotes a text as one word of a shell command to paste: not at all if it is plain, with double quotes if nothing in it is
 * special to a shell, otherwise with single quotes.
 */
export function shellQuoted(text: string): string {
  if (/^[\w./~+:@%,-][\w./~+=:@%,-]*$/.test(text)) return text.startsWith('~') ? `'${text}'` : text;
  if (/^[\p{L}\p{N} '.,:;?()/_-]*$/u.test(text)) return `"${text}"`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
