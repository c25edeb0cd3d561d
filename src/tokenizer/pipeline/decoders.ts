/** The decoders of tokenizer.json, which turn tokens into text. */
import type { JsonObject } from '../tokenizer-json.ts';
import { oneOf, readSequence, type Field } from './fields.ts';
import { readLiteral } from './normalizers.ts';
import { prependScheme } from './pre-tokenizers.ts';

/**
 * Changes tokens that arrive one by one. After Fuse, all tokens are a single one, which arrives in parts.
 *
 * @returns the tokens, or parts, that later ones cannot change
 */
interface TokenStep {
  push(token: string): readonly string[];
  end(): readonly string[];
}

/**
 * Starts decoding.
 *
 * @param isContinued whether the tokens continue a text: then the space that belongs to the start of a text is not removed
 */
export type TokenSteps = (isContinued: boolean) => readonly TokenStep[];

interface Context {
  readonly field: Field;
  /** Whether a Fuse comes before. */
  readonly isFused: boolean;
}

type Reader = (json: JsonObject, context: Context) => (isContinued: boolean) => TokenStep;

const readers: Readonly<Record<string, Reader>> = {
  Fuse: () => () => each((token) => token),
  Replace(json, { field, isFused }) {
    const pattern = readLiteral(json, field);
    if (isFused && Array.from(pattern).length > 1)
      field.fail('pattern', 'has several characters, which is supported only before a Fuse');
    const content = field.text(json, 'content');
    return () => each((token) => token.replaceAll(pattern, () => content));
  },
  ByteFallback(_json, { field, isFused }) {
    if (isFused) field.fail('type', 'is "ByteFallback", which is supported only before a Fuse');
    return () => byteRuns();
  },
  Strip(json, { field, isFused }) {
    const content = field.character(json, 'content');
    const start = field.count(json, 'start');
    if (field.count(json, 'stop') > 0) field.fail('stop', 'is not 0, which is not supported');
    if (isFused) return (isContinued) => strippedText(content, isContinued ? 0 : start);
    return () => each((token) => withoutStart(token, content, start));
  },
  Metaspace(json, { field, isFused }) {
    if (isFused) field.fail('type', 'is "Metaspace", which is supported only before a Fuse');
    const mark = field.character(json, 'replacement');
    const hasPrefix = prependScheme(json, field) !== 'never';
    return (isContinued) => spacedWords(mark, hasPrefix && !isContinued);
  },
};

/** Undefined for ByteLevel, which works on bytes instead of text. */
export function readDecoder(json: unknown, field: Field): TokenSteps | undefined {
  const members = readSequence(json, field, 'decoders');
  if (members.length === 0) return field.fail('type', 'is missing: tokens would be joined with spaces');
  if (members.length === 1 && members[0].json['type'] === 'ByteLevel') return undefined;
  let isFused = false;
  const steps = members.map((member) => {
    const step = oneOf(readers, member.json, member.field)(member.json, { field: member.field, isFused });
    isFused ||= member.json['type'] === 'Fuse';
    return step;
  });
  return (isContinued) => steps.map((start) => start(isContinued));
}

/** A step that changes each token by itself. */
const each = (change: (token: string) => string): TokenStep => ({
  push: (token) => [change(token)],
  end: () => [],
});

/** The byte that a token such as `<0x0A>` stands for. */
export function byteOfFallback(token: string): number | undefined {
  return /^<0x[0-9a-fA-F]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : undefined;
}

/** Runs of byte tokens become text, or, if they are not UTF-8, one U+FFFD for each byte. */
function byteRuns(): TokenStep {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let run: number[] = [];
  const finish = (): string[] => {
    if (run.length === 0) return [];
    const bytes = Uint8Array.from(run);
    run = [];
    try {
      return [decoder.decode(bytes)];
    } catch {
      return Array<string>(bytes.length).fill('\ufffd');
    }
  };
  return {
    push(token) {
      const byte = byteOfFallback(token);
      if (byte === undefined) return [...finish(), token];
      run.push(byte);
      return [];
    },
    end: finish,
  };
}

/** Marks become spaces; in the first token, which has the mark before the text, they are removed. */
function spacedWords(mark: string, hasPrefix: boolean): TokenStep {
  let isFirst = hasPrefix;
  return {
    push(token) {
      const text = token.replaceAll(mark, isFirst ? '' : ' ');
      isFirst = false;
      return [text];
    },
    end() {
      isFirst = hasPrefix;
      return [];
    },
  };
}

/** Removes characters at the start of the whole text. */
function strippedText(content: string, most: number): TokenStep {
  let left = most;
  return {
    push(part) {
      const text = withoutStart(part, content, left);
      left = text === '' ? left - part.length : 0;
      return [text];
    },
    end() {
      left = most;
      return [];
    },
  };
}

function withoutStart(text: string, content: string, most: number): string {
  let from = 0;
  for (let i = 0; i < most && text.startsWith(content, from); i++) from += content.length;
  return text.slice(from);
}
