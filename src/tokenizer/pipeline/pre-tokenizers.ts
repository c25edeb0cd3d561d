/** The pre-tokenizers of tokenizer.json, which divide a text into the pieces that the model encodes. */
import { shownJson } from '../../json.ts';
import { GPT2_PATTERN, gpt2Starts } from '../gpt2-pieces.ts';
import type { PieceRule } from '../pieces.ts';
import type { JsonObject } from '../tokenizer-json.ts';
import { oneOf, readSequence, type Field } from './fields.ts';
import { compilePattern } from './pattern-automaton.ts';
import { cutsOfAutomaton, HARMLESS, NEVER, type LineCuts } from './line-cuts.ts';
import { BETWEEN, patternRule } from './pattern-rule.ts';
import { literalPattern, parsePattern, UnsupportedPattern, type Pattern } from './pattern-syntax.ts';
import { beforeEach, splitBehaviors, withBehavior, type SplitBehavior } from './split-behavior.ts';
import { NUMERIC_CLASS, PUNCTUATION_CLASS } from '../unicode-versions.ts';

/** A character before stretches of text that start without one. */
export interface Prefix {
  readonly text: string;
  /** Another character that makes it unnecessary. */
  readonly alternative?: string;
  /** Only before a text that does not start with an added token. */
  readonly onlyFirst: boolean;
}

/** Creates a rule for each text to encode, because rules keep working memory. */
export interface Division {
  readonly start: () => PieceRule;
  readonly cuts: LineCuts;
}

/** The combined effect of a file's pre-tokenizers. */
export interface PreTokenization {
  /** Rules that are applied in turn. */
  readonly rules: readonly Division[];
  /** Tokens are written in GPT-2's byte alphabet. */
  readonly isByteLevel: boolean;
  readonly prefix: Prefix | undefined;
  /** Replaces spaces. */
  readonly spaceMark: string | undefined;
}

/** The contribution of one pre-tokenizer. */
type Step = Partial<Omit<PreTokenization, 'rules'>> & { readonly rule?: Division | undefined };

export const GPT2_DIVISION: Division = {
  start: () => gpt2Starts,
  cuts: { before: 'always', after: 'never' },
};

type Reader = (json: JsonObject, field: Field) => Step;

const readers: Readonly<Record<string, Reader>> = {
  ByteLevel(json, field) {
    const hasPrefix = field.flag(json, 'add_prefix_space');
    const isCut = field.flag(json, 'use_regex', true);
    return {
      isByteLevel: true,
      prefix: hasPrefix ? { text: ' ', onlyFirst: false } : undefined,
      rule: isCut ? GPT2_DIVISION : undefined,
    };
  },
  Metaspace(json, field) {
    const mark = field.character(json, 'replacement');
    const scheme = prependScheme(json, field);
    const isCut = field.flag(json, 'split', true);
    return {
      spaceMark: mark,
      prefix:
        scheme === 'never' ? undefined : { text: mark, alternative: ' ', onlyFirst: scheme === 'first' },
      rule: isCut ? { start: () => beforeEach(mark), cuts: HARMLESS } : undefined,
    };
  },
  Split(json, field) {
    const { String: text, Regex: source } = field.object(json, 'pattern');
    const behavior = field.choice(json, 'behavior', splitBehaviors);
    const isInverted = field.flag(json, 'invert', false);
    if (typeof text === 'string' && text !== '')
      return { rule: readPattern(literalPattern(text), behavior, isInverted, `${field.path}.pattern`) };
    if (typeof source !== 'string') return field.fail('pattern', `is ${shownJson(json['pattern'])}`);
    // The pattern of GPT-2 has a faster rule.
    if (source === GPT2_PATTERN && behavior === 'Isolated' && !isInverted) return { rule: GPT2_DIVISION };
    const pattern = supported(() => parsePattern(source), field);
    return {
      rule: supported(() => readPattern(pattern, behavior, isInverted, `${field.path}.pattern`), field),
    };
  },
  Digits(json, field) {
    const isEach = field.flag(json, 'individual_digits');
    const digit: Pattern = { kind: 'character', of: NUMERIC_CLASS };
    const run: Pattern = { kind: 'repeat', item: digit, min: 1, max: Infinity, isPossessive: false };
    return { rule: { ...readPattern(isEach ? digit : run, 'Isolated', false, field.path), cuts: HARMLESS } };
  },
  Punctuation(json, field) {
    const behavior = field.choice(json, 'behavior', splitBehaviors, 'Isolated');
    return { rule: readPattern({ kind: 'character', of: PUNCTUATION_CLASS }, behavior, false, field.path) };
  },
};

export function readPreTokenizer(json: unknown, field: Field): PreTokenization {
  const members = readSequence(json, field, 'pretokenizers');
  const steps = members.map((member, i) => {
    const step = oneOf(readers, member.json, member.field)(member.json, member.field);
    if (step.isByteLevel === true && i + 1 < members.length)
      member.field.fail('type', 'is "ByteLevel", which is supported only as the last pre-tokenizer');
    if (step.spaceMark !== undefined && (i > 0 || members.at(-1)?.json['type'] === 'ByteLevel'))
      member.field.fail('type', 'is "Metaspace", which is supported only as the first pre-tokenizer');
    if (step.prefix !== undefined && i > 0)
      member.field.fail('add_prefix_space', 'is true, which is supported only in the first pre-tokenizer');
    return step;
  });
  return {
    rules: steps.flatMap(({ rule }) => rule ?? []),
    isByteLevel: steps.at(-1)?.isByteLevel ?? false,
    prefix: steps[0]?.prefix,
    spaceMark: steps[0]?.spaceMark,
  };
}

/** Older files have add_prefix_space instead. */
export function prependScheme(json: JsonObject, field: Field): 'always' | 'first' | 'never' {
  const scheme = field.choice(json, 'prepend_scheme', ['always', 'first', 'never'], 'always');
  if (field.flag(json, 'add_prefix_space', true) || scheme === 'never') return scheme;
  return field.fail(
    'add_prefix_space',
    `is false, but "prepend_scheme" is ${shownJson(json['prepend_scheme'])}`,
  );
}

function readPattern(pattern: Pattern, behavior: SplitBehavior, isInverted: boolean, path: string): Division {
  const automaton = compilePattern(pattern);
  if (behavior === 'Isolated')
    return { start: () => patternRule(automaton, path), cuts: cutsOfAutomaton(automaton) };
  const start = (): PieceRule => withBehavior(patternRule(automaton, path, BETWEEN), behavior, isInverted);
  return { start, cuts: behavior === 'Removed' ? cutsOfAutomaton(automaton) : NEVER };
}

/** Turns `UnsupportedPattern` into an error that names the field. */
function supported<T>(read: () => T, field: Field): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UnsupportedPattern)) throw error;
    return field.fail('pattern', `has ${error.message}, which is not supported`);
  }
}
