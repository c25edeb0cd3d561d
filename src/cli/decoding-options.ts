/** `--encoding`, `--encoding-errors`, and the warning about replaced bytes. */
import type { Option } from 'commander';
import { decodingHelp, encodingErrorsName, encodingName } from '../data/encoding-value.ts';
import { UTF8 } from '../data/encodings.ts';
import type { Replacements } from '../data/replacements.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { option } from './options.ts';
import { printable, warn } from './terminal.ts';

export const encodingOption = (): Option =>
  option('--encoding <name>', `${decodingHelp.encoding} (default: ${UTF8})`, encodingName);

export const encodingErrorsOption = (): Option =>
  option('--encoding-errors <what>', `${decodingHelp.encodingErrors} (default: strict)`, encodingErrorsName);

/** Reports how much of each text `--encoding-errors replace` has replaced. */
export function warnOfReplacements(texts: readonly Replacements[], encoding: string = UTF8): void {
  for (const { paths, replaced, characters } of texts) {
    if (replaced === 0) continue;
    const name = paths.map((path) => (path === '-' ? 'stdin' : printable(path))).join(', ');
    const other =
      encoding === UTF8
        ? '. If the text is in another encoding, specify it: --encoding latin1, for example'
        : '';
    warn(
      `${name}: ${formatNumber(replaced)} of ${formatNumber(characters)} characters (${formatPercent(replaced / characters, 2)}) ` +
        `are U+FFFD, in place of bytes that are not valid ${encoding.toUpperCase()}${other}`,
    );
  }
}

/** The same for `--json`. */
export function replacementsToJson(texts: readonly Omit<Replacements, 'paths'>[]) {
  const sum = (name: 'replaced' | 'characters'): number => texts.reduce((all, text) => all + text[name], 0);
  const replaced = sum('replaced');
  return {
    replaced_characters: replaced,
    replaced_share: replaced === 0 ? 0 : replaced / sum('characters'),
  };
}
