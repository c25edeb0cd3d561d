/**
 * A text as one word of a shell command, to be pasted. Plain words stay bare; others are put in double quotes where nothing
 * in them means something to a shell, and in single quotes elsewhere.
 */
export function shellQuoted(text: string): string {
  if (/^[\w./~+:@%,-][\w./~+=:@%,-]*$/.test(text)) return text.startsWith('~') ? `'${text}'` : text;
  if (/^[\p{L}\p{N} '.,:;?()/_-]*$/u.test(text)) return `"${text}"`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
