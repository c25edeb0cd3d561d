/** Encodes texts with added tokens, which are found before anything else. */
import type { AddedIds } from './added-tokens.ts';
import {
  flaggedTokenSplitter,
  type Splitter,
  type Stretch,
  type TokenMatch,
} from './added-token-splitter.ts';
import { lastLineEnd } from './pieces.ts';
import type { Prefix } from './pipeline/pre-tokenizers.ts';
import type { Normalizer } from './pipeline/normalizers.ts';
import { noTemplate, type Template } from './pipeline/template.ts';
import type { Encoder, TextPart, Unknown } from './tokenizer.ts';

/** Encodes the text between special tokens. */
export interface OrdinaryEncoder {
  /** @param final whether the last piece is complete */
  encode(text: string, final: boolean): Uint32Array;
  /** Number of characters encoded so far; used to report unknown tokens. */
  readonly position: number;
}

/** An added token as it is found in a text. */
interface Found extends TokenMatch {
  readonly id: number;
}

export interface SpecialEncoding {
  /** Added tokens, and the tokens by id. */
  readonly added: AddedIds;
  readonly tokens: readonly string[];
  readonly template?: Template;
  readonly normalizer?: Normalizer | undefined;
  readonly prefix?: Prefix | undefined;
  readonly unkId?: number | undefined;
  readonly onUnknown?: ((unknown: Unknown) => void) | undefined;
  /** The text that is encoded is part of a longer one. */
  readonly part?: TextPart | undefined;
}

const WHOLE: TextPart = { isFirst: true, isLast: true };

/**
 * Adds special tokens to an encoder of ordinary text.
 *
 * @param makeOrdinary receives a callback for unknown text, with positions that do not count special tokens
 */
export function encoderAround(
  makeOrdinary: (onUnknown?: (unknown: Unknown) => void) => OrdinaryEncoder,
  { part = WHOLE, template = noTemplate, prefix, unkId, onUnknown, ...encoding }: SpecialEncoding,
): Encoder {
  const splitter = new AddedTokenSplitter(encoding, !part.isFirst);
  let isStart = part.isFirst; // of the text
  let needsPrefix = part.isFirst;
  let specialLength = 0; // in characters
  const ordinary = makeOrdinary(
    onUnknown && (({ text, position }) => onUnknown({ text, position: position + specialLength })),
  );
  const encode = (piece: string, final: boolean): Uint32Array => {
    const parts: Uint32Array[] = [];
    if (isStart && part.isTemplated !== true) parts.push(Uint32Array.from(template.before));
    isStart = false;
    for (const { text: found, special, matched } of splitter.split(piece, final)) {
      const text = part.mark === undefined ? found : found.replaceAll(part.mark, '');
      const isPrefixed = needsPrefix && prefix !== undefined && text !== '' && !hasPrefix(text, prefix);
      if (text !== '') needsPrefix = false;
      const encoded = ordinary.encode(isPrefixed ? prefix.text + text : text, final || special !== undefined);
      if (encoded.length > 0) parts.push(encoded);
      if (special === undefined) continue;
      if (special.id === unkId)
        onUnknown?.({ text: encoding.tokens[special.id], position: ordinary.position + specialLength });
      specialLength += Array.from(matched).length;
      parts.push(Uint32Array.of(special.id));
      needsPrefix = prefix?.onlyFirst === false;
    }
    return joined(parts);
  };
  return {
    push: (text) => encode(text, false),
    end() {
      const rest = encode('', true);
      splitter.restart();
      isStart = needsPrefix = part.isFirst;
      return part.isLast && part.isTemplated !== true && template.after.length > 0
        ? joined([rest, Uint32Array.from(template.after)])
        : rest;
    },
  };
}

const hasPrefix = (text: string, { text: prefix, alternative }: Prefix): boolean =>
  text.startsWith(prefix) || (alternative !== undefined && text.startsWith(alternative));

/** `Tokenizer.cut` for a text with special tokens, which may contain a line feed and must not be split. */
export const cutAround = (
  tokens: readonly string[],
  added: AddedIds,
  cut: (text: string) => number = lastLineEnd,
): ((text: string) => number) =>
  [...added].some(([id, { lstrip, rstrip }]) => lstrip || rstrip || tokens[id].includes('\n'))
    ? () => 0
    : cut;

function joined(parts: readonly Uint32Array[]): Uint32Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Finds added tokens in two passes: first those that are not normalized, in the text as it is, then the others in the
 * normalized text between them.
 */
class AddedTokenSplitter {
  readonly #first: ReadonlyMap<string, Found>;
  readonly #second: ReadonlyMap<string, Found>;
  readonly #normalizer: Normalizer | undefined;
  readonly #isContinued: boolean;
  readonly #outer: Splitter;
  readonly #inner: Splitter;
  #normalize: ((text: string, final: boolean) => string) | undefined;

  constructor(
    { added, tokens, normalizer }: Pick<SpecialEncoding, 'added' | 'tokens' | 'normalizer'>,
    isContinued: boolean,
  ) {
    const first = new Map<string, Found>();
    const second = new Map<string, Found>();
    for (const [id, flags] of added)
      if (!flags.normalized) first.set(tokens[id], { id, ...flags });
      else {
        const text = normalizer?.(false)(tokens[id], true) ?? tokens[id];
        if (text !== '') second.set(text, { id, ...flags });
      }
    this.#first = first;
    this.#second = second;
    this.#outer = flaggedTokenSplitter(first);
    this.#inner = flaggedTokenSplitter(second);
    this.#normalizer = normalizer;
    this.#isContinued = isContinued;
    this.restart();
  }

  /** Another text follows. */
  restart(): void {
    this.#normalize = this.#normalizer?.(this.#isContinued);
  }

  /** The last stretch has no token. */
  split(piece: string, final: boolean): (Omit<Stretch, 'special'> & { special: Found | undefined })[] {
    return this.#outer(piece, final).flatMap(({ text, special, matched }) => {
      const isEnd = final || special !== undefined;
      const inner = this.#inner(this.#normalize?.(text, isEnd) ?? text, isEnd).map((stretch) => ({
        ...stretch,
        special: stretch.special === undefined ? undefined : this.#second.get(stretch.special),
      }));
      return special === undefined
        ? inner
        : [...inner.slice(0, -1), { ...inner.at(-1)!, special: this.#first.get(special)!, matched }];
    });
  }
}
