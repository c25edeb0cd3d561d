/**
 * Terms in messages that the library and the command line write differently: options, and calls that train a model. They
 * are marked within a message; the code that shows it chooses their form.
 */

/** Encloses a term. It cannot occur in other text: paths do not contain it, and everything else is quoted as JSON. */
const MARK = '\0';

/** Values of options by name; `true` sets a switch. */
export type OptionValues = Readonly<Record<string, string | number | true>>;

/** Writes the terms of a message in one form. */
export interface Terms {
  option(name: string): string;
  values(values: OptionValues): string;
  /** @param corpus texts to train on, `-` for stdin; empty for those that a resumed run has recorded */
  train(corpus: readonly string[], values: OptionValues): string;
}

/** An option's name: `nHead` in the library, `--n-head` on the command line. */
export const optionName = (name: string): string => MARK + name + MARK;

/** Options with values: `nHead: 4, nEmbd: 64` in the library, `--n-head 4 --n-embd 64` on the command line. */
export const optionValues: Terms['values'] = (values) => MARK + JSON.stringify(values) + MARK;

/**
 * A call that trains a model: `train({ corpus: ["book.txt"], initFrom: "gpt2" })` in the library,
 * `gpt train book.txt --init-from gpt2` on the command line.
 */
export const trainCall: Terms['train'] = (corpus, values) => MARK + JSON.stringify([corpus, values]) + MARK;

const fields = (values: OptionValues | { readonly corpus: readonly string[] }): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(', ');

/** The terms of the library. */
export const libraryTerms: Terms = {
  option: (name) => name,
  values: fields,
  train: (corpus, values) => `train({ ${fields({ corpus, ...values })} })`,
};

/** A message with all of its terms written out. */
export const inTerms = (message: string, terms: Terms): string =>
  message
    .split(MARK)
    .map((part, i) => (i % 2 === 0 ? part : writeTerm(part, terms)))
    .join('');

function writeTerm(term: string, terms: Terms): string {
  if (term.startsWith('{')) return terms.values(JSON.parse(term) as OptionValues);
  if (term.startsWith('[')) return terms.train(...(JSON.parse(term) as Parameters<Terms['train']>));
  return terms.option(term);
}
