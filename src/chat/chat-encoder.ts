/** Token ids of conversations, and which of them count in the loss. */
import { tokenPattern } from '../tokenizer/added-token-splitter.ts';
import type { Encoder, TextPart, Tokenizer, Unknown } from '../tokenizer/tokenizer.ts';
import { encode } from '../tokenizer/tokenizer.ts';
import type { ChatText } from './chat-renderer.ts';

export interface ChatIds {
  readonly ids: Uint32Array;
  /** 1 for tokens that the assistant writes, 0 for all others. */
  readonly counted: Uint8Array;
}

/** A position in a text at which a special token begins, and the index of that token. */
interface Anchor {
  readonly at: number;
  readonly index: number;
}

export class ChatEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #specialIds: ReadonlySet<number>;
  readonly #special: RegExp | undefined;

  constructor(tokenizer: Tokenizer) {
    const { specialTexts, vocabulary } = tokenizer;
    this.#tokenizer = tokenizer;
    this.#specialIds = new Set(specialTexts.map((text) => vocabulary.indexOf(text)));
    this.#special = specialTexts.length === 0 ? undefined : tokenPattern(specialTexts);
  }

  /** Only the ids, such as those of a prompt. */
  ids({ text, mark }: Pick<ChatText, 'text' | 'mark'>, onUnknown?: (unknown: Unknown) => void): Uint32Array {
    return encode(this.#tokenizer, text, onUnknown, partOf(mark));
  }

  /** The loss mask counts an answer's tokens: those after the tokens of its prompt, encoded alone. */
  encode({ text, mark, answers }: ChatText, onUnknown?: (unknown: Unknown) => void): ChatIds {
    const { ids, anchors } = this.#withAnchors(text, this.#tokenizer.encoder(onUnknown, partOf(mark)));
    const counted = new Uint8Array(ids.length);
    const indexOf = (at: number): number => {
      if (at === text.length) return ids.length;
      const anchor = anchors.findLast((each) => each.at <= at)!;
      const { at: from, index } = anchor;
      const before = encode(this.#tokenizer, text.slice(from, at), () => {}, {
        ...partOf(mark),
        isFirst: from === 0,
      });
      return index + commonLength(before, ids.subarray(index));
    };
    for (const [start, end] of answers) counted.fill(1, indexOf(start), indexOf(end));
    return { ids, counted };
  }

  #withAnchors(
    text: string,
    encoder: Encoder,
  ): { readonly ids: Uint32Array; readonly anchors: readonly Anchor[] } {
    const anchors: Anchor[] = [{ at: 0, index: 0 }];
    const all: number[] = [];
    let from = 0;
    for (const { 0: token, index: at } of this.#special === undefined ? [] : text.matchAll(this.#special)) {
      for (const id of encoder.push(text.slice(from, at + token.length))) all.push(id);
      from = at + token.length;
      if (this.#specialIds.has(all.at(-1) ?? -1)) anchors.push({ at, index: all.length - 1 });
    }
    for (const id of encoder.push(text.slice(from))) all.push(id);
    for (const id of encoder.end()) all.push(id);
    return { ids: Uint32Array.from(all), anchors };
  }
}

const partOf = (mark: string | undefined): TextPart => ({
  isFirst: true,
  isLast: true,
  isTemplated: true,
  ...(mark !== undefined && { mark }),
});

function commonLength(a: Uint32Array, b: Uint32Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
