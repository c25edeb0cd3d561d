/**
 * Quotes a text as one word of a shell command to paste: not at all if it is plain, with double quotes if nothing in it is
 * special to a shell, otherwise with single quotes. Control characters, which would not survive being printed and copied,
 * become escapes within $'…', which bash, zsh and ksh have.
 */
export function shellQuoted(text: string): string {
  if (/^[\w./~+:@%,-][\w./~+=:@%,-]*$/.test(text)) return text.startsWith('~') ? `'${text}'` : text;
  if (/^[\p{L}\p{N} '.,:;?()/_-]*$/u.test(text)) return `"${text}"`;
  if (CONTROL.test(text)) return `$'${text.replace(/[\\']/g, '\\$&').replace(CONTROLS, escaped)}'`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const CONTROL = /[\p{Cc}\p{Bidi_Control}]/u;
const CONTROLS = new RegExp(CONTROL, 'gu');

const escaped = (character: string): string =>
  `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;
