import type { TokenDecoder, Tokenizer } from '../tokenizer/tokenizer.ts';
import { stopScanner, type StopScanner } from './stop-strings.ts';

/** Why a text ends: the maximum number of tokens, a stop string, or an end token. */
export type FinishReason = 'length' | 'stop';

export interface EndOptions {
  readonly maxTokens: number;
  /** Stop strings, which are not part of the text. */
  readonly stopStrings: readonly string[];
  /** End tokens, which are not part of the text. */
  readonly stopIds: ReadonlySet<number>;
}

/** A text that grows token by token: the part that can be displayed so far, and whether it is finished. */
export class WrittenText {
  readonly ids: number[] = [];
  /** Text added by each token; empty for a token that ends within a character. */
  readonly pieces: string[] = [];
  readonly #options: EndOptions;
  readonly #decoder: TokenDecoder;
  readonly #scanner: StopScanner;
  #text = '';
  /** The end of #text that `takeNewText` has not returned yet. */
  #newText = '';
  #finishReason: FinishReason | undefined;

  /** @param isContinued whether the text continues a prompt */
  constructor(tokenizer: Tokenizer, options: EndOptions, isContinued = true) {
    this.#options = options;
    this.#decoder = tokenizer.decoder(isContinued);
    this.#scanner = stopScanner(options.stopStrings);
  }

  /** The text that can be displayed: a possible start of a stop string is held back. */
  get text(): string {
    return this.#text;
  }

  /**
   * The text added since the last call, for streaming: slicing `text` would copy the whole text for every token.
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

  /** Adds a token; returns the additional text that can be displayed. */
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

  /** Releases the rest when no more tokens follow. */
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
