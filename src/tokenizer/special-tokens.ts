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
import { unmarked, type Encoder, type TextPart, type Unknown } from './tokenizer.ts';

/**
 * Starts encoding the text between special tokens.
 *
 * @param onUnknown receives unknown text, with positions that do not count special tokens
 * @param isLiteral the text may spell out special tokens, which must not be encoded as such
 */
export type OrdinaryStart = (
  onUnknown: ((unknown: Unknown) => void) | undefined,
  isLiteral: boolean,
) => OrdinaryEncoder;

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

/** Adds special tokens to an encoder of ordinary text. */
export function encoderAround(
  startOrdinary: OrdinaryStart,
  { part = WHOLE, template = noTemplate, prefix, unkId, onUnknown, ...encoding }: SpecialEncoding,
): Encoder {
  const splitter = new AddedTokenSplitter(encoding, part);
  let isStart = part.isFirst; // of the text
  let needsPrefix = part.isFirst;
  let specialLength = 0; // in characters
  let count = 0; // ids of the text so far
  const ordinary = startOrdinary(
    onUnknown && (({ text, position }) => onUnknown({ text, position: position + specialLength })),
    part.mark !== undefined,
  );
  const encode = (piece: string, final: boolean): Uint32Array => {
    const parts: Uint32Array[] = [];
    const add = (ids: Uint32Array): void => {
      if (ids.length > 0) parts.push(ids);
      count += ids.length;
    };
    if (isStart && part.isTemplated !== true) add(Uint32Array.from(template.before));
    isStart = false;
    for (const { text, special, matched, at } of splitter.split(piece, final)) {
      const isPrefixed = needsPrefix && prefix !== undefined && text !== '' && !hasPrefix(text, prefix);
      if (text !== '') needsPrefix = false;
      add(ordinary.encode(isPrefixed ? prefix.text + text : text, final || special !== undefined));
      if (special === undefined) continue;
      if (special.id === unkId)
        onUnknown?.({ text: encoding.tokens[special.id], position: ordinary.position + specialLength });
      specialLength += Array.from(matched).length;
      if (at !== undefined) part.onAdded?.({ at, index: count });
      add(Uint32Array.of(special.id));
      needsPrefix = prefix?.onlyFirst === false;
    }
    return joined(parts);
  };
  return {
    push: (text) => encode(text, false),
    end() {
      const rest = encode('', true);
      splitter.restart();
      count = 0;
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

/** Ordinary text and the added token that follows it, if any, as in `Stretch`. */
interface FoundStretch extends Omit<Stretch, 'special'> {
  readonly special: Found | undefined;
  /** Where `matched` begins in the text that is encoded, in UTF-16 units; undefined if normalizing hides it. */
  readonly at: number | undefined;
}

/**
 * Finds added tokens in two passes: first those that are not normalized, in the text as it is, then the others in the
 * normalized text between them.
 */
class AddedTokenSplitter {
  readonly #first = new Map<string, Found>();
  readonly #second = new Map<string, Found>();
  readonly #normalizer: Normalizer | undefined;
  readonly #part: TextPart;
  readonly #outer: Splitter;
  readonly #inner: Splitter;
  #normalize: ((text: string, final: boolean) => string) | undefined;
  /** Length of the text that each pass has split. */
  #outerAt = 0;
  #innerAt = 0;

  constructor(
    { added, tokens, normalizer }: Pick<SpecialEncoding, 'added' | 'tokens' | 'normalizer'>,
    part: TextPart,
  ) {
    // Of two tokens that are the same when normalized, `tokenizers` finds either; here it is a special one, then the first.
    const special = [...added].filter(([, flags]) => flags.special);
    for (const [id, flags] of [...special, ...added])
      if (!flags.normalized) this.#first.set(tokens[id], { id, ...flags });
      else {
        const text = normalizer?.(false)(tokens[id], true) ?? tokens[id];
        if (text !== '' && !this.#second.has(text)) this.#second.set(text, { id, ...flags });
      }
    this.#outer = flaggedTokenSplitter(this.#first);
    this.#inner = flaggedTokenSplitter(this.#second);
    this.#normalizer = normalizer;
    this.#part = part;
    this.restart();
  }

  /** Prepares for another text. */
  restart(): void {
    this.#normalize = this.#normalizer?.(!this.#part.isFirst);
    this.#outerAt = this.#innerAt = 0;
  }

  /** The last stretch has no token. */
  split(piece: string, final: boolean): FoundStretch[] {
    return this.#outer(piece, final, this.#part.mark).flatMap(({ text, special, matched }) => {
      const inner = this.#splitNormalized(text, final || special !== undefined);
      const at = this.#outerAt + text.length;
      this.#outerAt = at + matched.length;
      if (special === undefined) return inner;
      this.#innerAt = this.#outerAt;
      return [...inner.slice(0, -1), { ...inner.at(-1)!, special: this.#first.get(special)!, matched, at }];
    });
  }

  #splitNormalized(text: string, isEnd: boolean): FoundStretch[] {
    const { mark } = this.#part;
    const given = this.#second.size === 0 ? unmarked(text, mark) : text;
    const stretches = this.#inner(this.#normalize?.(given, isEnd) ?? given, isEnd, mark);
    return stretches.map((stretch) => {
      const at = this.#innerAt + stretch.text.length;
      this.#innerAt = at + stretch.matched.length;
      return {
        text: unmarked(stretch.text, mark),
        special: stretch.special === undefined ? undefined : this.#second.get(stretch.special),
        matched: stretch.matched,
        at: this.#normalize === undefined ? at : undefined,
      };
    });
  }
}
