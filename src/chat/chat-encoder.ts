/** Token ids of conversations, and which of them count in the loss. */
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { tokenMatches, tokenPattern } from '../tokenizer/added-token-splitter.ts';
import {
  encode,
  unmarked,
  type AddedPosition,
  type TextPart,
  type Tokenizer,
  type Unknown,
} from '../tokenizer/tokenizer.ts';
import type { ChatText } from './chat-renderer.ts';

export interface ChatIds {
  readonly ids: Uint32Array;
  /** 1 for tokens that the assistant writes, 0 for all others. */
  readonly counted: Uint8Array;
}

export class ChatEncoder {
  readonly #tokenizer: Tokenizer;
  /** Special tokens by id, except `<unk>`, which ordinary text may become. */
  readonly #special: ReadonlyMap<number, string>;

  constructor(tokenizer: Tokenizer) {
    const { specialTexts, specialIds, unkId } = tokenizer;
    this.#tokenizer = tokenizer;
    this.#special = new Map(
      specialIds.flatMap((id, i): [number, string][] => (id === unkId ? [] : [[id, specialTexts[i]]])),
    );
  }

  /** Only the ids, such as those of a prompt. @throws UserError for messages that the tokenizer cannot protect */
  ids(text: Pick<ChatText, 'text' | 'mark'>, onUnknown?: (unknown: Unknown) => void): Uint32Array {
    return this.#withAnchors(text, onUnknown).ids;
  }

  /**
   * Encodes a conversation. Its loss mask counts an answer's tokens: those that follow the tokens of its prompt, encoded
   * alone.
   *
   * @throws UserError for messages that the tokenizer cannot protect
   */
  encode({ text, mark, answers }: ChatText, onUnknown?: (unknown: Unknown) => void): ChatIds {
    const { ids, anchors } = this.#withAnchors({ text, mark }, onUnknown);
    const counted = new Uint8Array(ids.length);
    const indexOf = (at: number): number => {
      if (at === text.length) return ids.length;
      const { at: from, index } = anchors.findLast((each) => each.at <= at)!;
      const before = encode(this.#tokenizer, text.slice(from, at), () => {}, {
        ...partOf(mark),
        isFirst: from === 0,
      });
      return index + commonLength(before, ids.subarray(index));
    };
    for (const [start, end] of answers) counted.fill(1, indexOf(start), indexOf(end));
    return { ids, counted };
  }

  /** The ids of a text, and the positions of added tokens in the text and in the ids. */
  #withAnchors(
    { text, mark }: Pick<ChatText, 'text' | 'mark'>,
    onUnknown: ((unknown: Unknown) => void) | undefined,
  ): { readonly ids: Uint32Array; readonly anchors: readonly AddedPosition[] } {
    const anchors: AddedPosition[] = [{ at: 0, index: 0 }];
    const part = { ...partOf(mark), onAdded: (found: AddedPosition) => anchors.push(found) };
    const ids = encode(this.#tokenizer, text, onUnknown, part);
    const found = new Set(anchors.slice(1).map(({ index }) => index));
    const others = ids.filter((id, i) => this.#special.has(id) && !found.has(i));
    if (others.length > 0) this.#checkOthers({ text, mark }, others);
    return { ids, anchors };
  }

  /** Checks that no special token appears in the ids except those that the template writes. */
  #checkOthers({ text, mark }: Pick<ChatText, 'text' | 'mark'>, ids: Uint32Array): void {
    for (const id of new Set(ids)) {
      const token = this.#special.get(id)!;
      const written = [...tokenMatches(tokenPattern([token]), text, mark)].length;
      if (ids.filter((each) => each === id).length > written)
        throw new UserError(
          'unsuitable-tokenizer',
          `the tokenizer reads text of a message as its special token ${shownJson(token)}, in the conversation ${shownJson(unmarked(text, mark))}`,
          { hint: 'leave that text out of the message' },
        );
    }
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
