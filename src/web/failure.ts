/** Words errors for the page, which has fields for only a few options, no command line and no folders. */
import { commandLineTerms } from '../cli/command-line-terms.ts';
import type { ErrorCode } from '../errors.ts';
import { inTerms, type Terms } from '../messages.ts';

export interface Failure {
  /** Undefined for a bug. */
  readonly code: ErrorCode | undefined;
  /** Option names in message and hint are marked, see ../messages.ts. */
  readonly message: string;
  readonly hint: string | undefined;
}

/** A field of the form. */
export interface Field {
  readonly label: string;
  /** Labels of the values that can be chosen, by value; none for a number. */
  readonly values?: Readonly<Record<string, string>>;
}

export interface Page {
  /** By the name of the option. */
  readonly fields: Readonly<Record<string, Field>>;
  /** Names of the texts, which keep their case at the start of a sentence. */
  readonly texts: readonly string[];
  /** The run has a model to write with. */
  readonly hasModel: boolean;
}

/** The message, and advice that can be followed on this page. */
export function failureText({ code, message, hint }: Failure, page: Page): string {
  const terms = termsOf(page);
  const what = inTerms(withoutAsides(message, page), terms);
  const advice = adviceFor(code, hint, page);
  return [what, advice]
    .filter((part) => part !== undefined)
    .map((part) => sentence(withValueLabels(part, page), page.texts))
    .join(' ');
}

/**
 * An error that a worker does not report itself.
 *
 * @param message none if its program could not be loaded
 * @param isUnsaved loading the page again would lose a model
 */
export function workerFailure(message: string | undefined, isUnsaved: boolean): Failure {
  return {
    code: undefined,
    message:
      message === undefined
        ? 'the program that trains could not be loaded'
        : `the program that trains failed: ${message.replace(/^Uncaught /, '')}`,
    hint: isUnsaved
      ? 'download the model below before you reload the page'
      : 'reload the page; if that does not help, try another browser',
  };
}

/** Options are named as their fields are labelled; others, which only a message may name, by their flag. */
function termsOf({ fields }: Page): Terms {
  const named = (name: string): string =>
    Object.hasOwn(fields, name) ? `“${fields[name].label}”` : commandLineTerms.option(name);
  return {
    option: named,
    values: (values) =>
      Object.entries(values)
        .filter(([name]) => Object.hasOwn(fields, name))
        .map(([name, value]) => `${named(name)} ${value}`)
        .join(' and '),
    train: () => 'another training',
  };
}

/** A select's values by their labels: “Tokenizer” char or bpe → “Tokenizer” characters or word pieces. */
function withValueLabels(text: string, { fields }: Page): string {
  return Object.values(fields).reduce((written, { label, values = {} }) => {
    const value = `(?:${Object.keys(values).join('|')})\\b`;
    return Object.keys(values).length === 0
      ? written
      : written.replace(new RegExp(`“${label}” (?:is )?${value}(?: or ${value})*`, 'g'), (found) =>
          found.replace(/[\w-]+/g, (word) =>
            !label.includes(word) && Object.hasOwn(values, word) ? values[word] : word,
          ),
        );
  }, text);
}

const TERM = /\0[^\0]*\0/g;

/** True if the page has a field for every option named. Of several values set together, one is enough. */
function isOffered(text: string, { fields }: Page): boolean {
  let isMet = true;
  const need = (has: boolean): string => {
    isMet &&= has;
    return '';
  };
  inTerms(text, {
    option: (name) => need(Object.hasOwn(fields, name)),
    values: (values) => need(Object.keys(values).some((name) => Object.hasOwn(fields, name))),
    train: () => need(false),
  });
  return isMet;
}

/** Removes options in parentheses that the page lacks. */
const withoutAsides = (message: string, page: Page): string =>
  message.replace(/ \(\0[^\0]*\0\)/g, (aside) => (isOffered(aside, page) ? aside : ''));

/** Advice for the page or, if there is none, for the command line. */
function adviceFor(code: ErrorCode | undefined, hint: string | undefined, page: Page): string | undefined {
  const own = code === undefined ? undefined : ownAdvice(code, page);
  if (own !== undefined) return own;
  if (hint === undefined) return undefined;
  const possible = offeredPart(hint, page);
  if (possible !== undefined) return inTerms(possible, termsOf(page));
  return code === 'not-text'
    ? 'if it is a text, save it as UTF-8'
    : code === 'out-of-memory'
      ? 'use a smaller model, batch or context'
      : `this page has no option for it, but the command line does: ${inTerms(hint, commandLineTerms)}`;
}

/** Replaces a hint about checkpoints and folders. */
function ownAdvice(code: ErrorCode, { fields, hasModel }: Page): string | undefined {
  const kept = hasModel ? 'the model of the last evaluation is kept below; ' : '';
  if (code === 'training-diverged')
    return `${kept}to train again, choose a lower “${fields['learningRate']?.label}”`;
  const { label, values } = fields['device'] ?? {};
  return code === 'device-failed'
    ? `${kept}train again, with “${label}” ${values?.['cpu']} if this happens again`
    : undefined;
}

/**
 * The alternatives of a hint that the page has fields for. They are separated by `or` and commas within a clause, and a clause
 * whose first alternative is impossible is omitted, since the others have no verb.
 */
function offeredPart(hint: string, page: Page): string | undefined {
  const terms: string[] = [];
  const hidden = hint.replace(TERM, (term) => `\0${terms.push(term) - 1}\0`); // a value may contain separators
  const restored = (part: string): string => part.replace(TERM, (i) => terms[Number(i.slice(1, -1))]);
  const can = (part: string): boolean => isOffered(restored(part), page);
  if (can(hidden)) return hint;
  const clauses = hidden.split(/;(?: or)? |, or /).flatMap((clause) => {
    const [first, ...others] = clause.split(/ or |, (?=\0)/);
    if (!can(first)) return [];
    const possible = [first, ...others.filter(can)];
    const last = possible.pop()!;
    return possible.length === 0 ? [last] : [`${possible.join(', ')} or ${last}`];
  });
  return clauses.length === 0 ? undefined : restored(clauses.join('; or '));
}

/** A message as a sentence. */
function sentence(words: string, names: readonly string[]): string {
  const isName = names.some((name) => /^[ :,]/.test(words.slice(name.length)) && words.startsWith(name));
  const start = isName ? words : words.replace(/^[a-z]+(?=[ ,])/, (word) => capitalized(word));
  return `${start.replace(/\.+$/, '')}.`;
}

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
