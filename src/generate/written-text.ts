import type { TokenDecoder, Tokenizer } from '../tokenizer/tokenizer.ts';
import { stopScanner, type StopScanner } from './stop-strings.ts';

/** Why a text ends: it has all the tokens it may have, or it came to a stop string or to the end of a document. */
export type FinishReason = 'length' | 'stop';

export interface EndOptions {
  readonly maxTokens: number;
  /** Texts that end it; they are not part of it. */
  readonly stopStrings: readonly string[];
  /** Ids that end it; they are not part of it. */
  readonly stopIds: ReadonlySet<number>;
}

/** A text that grows by tokens: what can be shown of it so far, and whether it is finished. */
export class WrittenText {
  readonly ids: number[] = [];
  /** What each token adds to the text: nothing, for one that ends within a character. */
  readonly pieces: string[] = [];
  readonly #options: EndOptions;
  readonly #decoder: TokenDecoder;
  readonly #scanner: StopScanner;
  #text = '';
  /** The end of #text that `takeNewText` has not returned yet. */
  #newText = '';
  #finishReason: FinishReason | undefined;

  constructor(tokenizer: Tokenizer, options: EndOptions) {
    this.#options = options;
    this.#decoder = tokenizer.decoder();
    this.#scanner = stopScanner(options.stopStrings);
  }

  /** All that can be shown: what may become a stop string is held back. */
  get text(): string {
    return this.#text;
  }

  /**
   * What can be shown in addition since the last call. For showing a text as it grows: slicing it out of `text` would copy
   * the whole text for every token.
   */
  takeNewText(): string {
    const text = this.#newText;
    this.#newText = '';
    return text;
  }

  /** Undefined until the text is finished. */
  get finishReason(): FinishReason | undefined {
    return this.#finishReason;
  }

  /** Adds a token; returns what can be shown in addition. */
  push(id: number): string {
    if (this.#options.stopIds.has(id)) {
      this.#finishReason = 'stop';
      return this.end();
    }
    const piece = this.#decoder.push([id]);
    this.ids.push(id);
    this.pieces.push(piece);
    const shown = this.#scanner.push(piece);
    this.#add(shown);
    if (this.#scanner.stopped) this.#finishReason = 'stop';
    else if (this.ids.length >= this.#options.maxTokens) {
      this.#finishReason = 'length';
      return shown + this.end();
    }
    return shown;
  }

  /** Shows the rest, if no more tokens come. */
  end(): string {
    const last = this.#decoder.end();
    if (last !== '' && this.pieces.length > 0) this.pieces[this.pieces.length - 1] += last;
    const shown = this.#scanner.push(last) + this.#scanner.end();
    this.#add(shown);
    return shown;
  }

  #add(shown: string): void {
    this.#text += shown;
    this.#newText += shown;
  }
}
