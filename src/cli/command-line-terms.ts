/** How messages of the library are written on the command line: options as flags, calls as commands. */
import type { Terms } from '../messages.ts';
import { shellQuoted } from '../shell-quote.ts';
import { flagOf } from '../flag-name.ts';

const flags: Terms['values'] = (values) =>
  Object.entries(values)
    .map(([name, value]) => (value === true ? flagOf(name) : `${flagOf(name)} ${shellQuoted(String(value))}`))
    .join(' ');

export const commandLineTerms: Terms = {
  option: flagOf,
  values: flags,
  train: (corpus, values) => {
    const stdin = corpus.includes('-') ? 'cat corpus.txt | ' : '';
    return `${stdin}${['gpt train', ...corpus.map(shellQuoted), flags(values)].join(' ').trimEnd()}`;
  },
};
