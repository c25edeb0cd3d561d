/** The normalizers of tokenizer.json. */
import { shownJson } from '../../json.ts';
import { WHITE_SPACE } from '../pieces.ts';
import { asObject, type JsonObject } from '../tokenizer-json.ts';
import { oneOf, readSequence, type Field } from './fields.ts';
import { heldBack, inOrder, prepended, replaced, type TextStep } from './text-steps.ts';
import { normalizeAsUnicode9, type NormalForm } from '../unicode-versions.ts';

/**
 * Starts normalizing stretches of text between added tokens.
 *
 * @param isContinued the first stretch continues a text, so that nothing is prepended to it
 */
export type Normalizer = (isContinued: boolean) => TextStep;

/** Reads and checks a normalizer of one type. */
type Reader = (json: JsonObject, field: Field) => Normalizer;

/** The normalizers of a file. */
export interface Normalization {
  readonly start: Normalizer;
  /** Types of its members. */
  readonly types: ReadonlySet<string>;
  /** A text can be normalized in parts that are divided at a line feed between characters other than white space. */
  readonly isDivisible: boolean;
}

const readers: Readonly<Record<string, Reader>> = {
  NFC: () => normalForm('NFC'),
  NFD: () => normalForm('NFD'),
  NFKC: () => normalForm('NFKC'),
  NFKD: () => normalForm('NFKD'),
  // A sigma at the end of a word has another lower case in JavaScript, but not in `tokenizers`.
  Lowercase: () => () => heldBack((text) => text.replaceAll('Σ', 'σ').toLowerCase(), wholeCharacters),
  Prepend(json, field) {
    const prefix = field.text(json, 'prepend');
    return (isContinued) => prepended(prefix, isContinued);
  },
  Replace(json, field) {
    const pattern = readLiteral(json, field);
    const content = field.text(json, 'content');
    return () => replaced(pattern, content);
  },
  Strip(json, field) {
    const [left, right] = [field.flag(json, 'strip_left'), field.flag(json, 'strip_right')];
    return () => stripped(left, right);
  },
};

/** Undefined if there is none. */
export function readNormalizer(json: unknown, field: Field): Normalization | undefined {
  const members = readSequence(json, field, 'normalizers');
  const normalizers = members.map((each) => oneOf(readers, each.json, each.field)(each.json, each.field));
  if (normalizers.length === 0) return undefined;
  return {
    start: (isContinued) => inOrder(normalizers.map((start) => start(isContinued))),
    types: new Set(members.map((each) => String(each.json['type']))),
    isDivisible: !members.some(({ json: { type, pattern } }) =>
      type === 'Replace' ? String(asObject(pattern)['String']).includes('\n') : type === 'Strip',
    ),
  };
}

/** The pattern of Replace, for which only a text is accepted, not a regular expression. */
export function readLiteral(json: JsonObject, field: Field): string {
  const { String: text } = field.object(json, 'pattern');
  return typeof text === 'string' && text !== ''
    ? text
    : field.fail('pattern', `is ${shownJson(json['pattern'])}; only {"String": text} is supported`);
}

const wholeCharacters = (text: string): number =>
  (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800 ? text.length - 1 : text.length;

const NOT_ASCII = /[^\0-\x7f]/;

const normalForm =
  (form: NormalForm): Normalizer =>
  () =>
    heldBack((text) => (NOT_ASCII.test(text) ? normalizeAsUnicode9(text, form) : text), lastStart);

/**
 * Position of the last character that does not combine with those before it, at which a text can be divided and normalized
 * in parts: one of ASCII, CJK ideographs, or kana.
 */
function lastStart(text: string, known: number): number {
  for (let i = text.length - 1; i >= Math.max(known, 1); i--) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80 || (unit >= 0x3400 && unit < 0xa000) || (unit >= 0x3041 && unit <= 0x3096)) return i;
  }
  return 0;
}

/** Removes white space at the ends of the text. */
function stripped(left: boolean, right: boolean): TextStep {
  let isStart = true;
  const trimmed = heldBack(
    (text) => text,
    (text) => (right ? endOfText(text) : text.length),
  );
  return (chunk, final) => {
    const text = isStart && left ? chunk.slice(startOfText(chunk)) : chunk;
    isStart = final || (isStart && text === '');
    const rest = trimmed(text, final);
    return final && right ? rest.slice(0, endOfText(rest)) : rest;
  };
}

function startOfText(text: string): number {
  let i = 0;
  while (i < text.length && WHITE_SPACE.includes(text[i])) i++;
  return i;
}

function endOfText(text: string): number {
  let i = text.length;
  while (i > 0 && WHITE_SPACE.includes(text[i - 1])) i--;
  return i;
}
