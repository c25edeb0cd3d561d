import { allParts, type InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';
import { Draft, type DraftOptions, type TextNumber } from './draft.ts';

/** A token that has been drawn for one of the texts. */
export interface Drawn<Text> {
  /** Which text, as `add` was told. */
  readonly text: Text;
  readonly id: number;
  /** What the model expected there, [V]; to be looked at before `advance`. */
  readonly logits: Float32Array;
}

interface Row<Text> {
  readonly text: Text;
  readonly draft: Draft;
  logits: Float32Array;
  id: number;
  ended: boolean;
}

/**
 * Writes several texts together: one pass through the model a token, for all of them, so that its weights are read from memory
 * once. Each text is the same to the bit as when it is written alone. Texts can come and go between two tokens:
 *
 *     batch.add('first', ids);
 *     while (batch.size > 0) {
 *       for (const { text, id } of batch.draw()) if (isLast(text, id)) batch.end(text);
 *       batch.advance();
 *     }
 */
export class Batch<Text> {
  readonly #decoder: Decoder;
  readonly #options: DraftOptions;
  /** Row i is text i of the decoder. */
  readonly #rows: Row<Text>[] = [];

  constructor(decoder: Decoder, options: DraftOptions) {
    this.#decoder = decoder;
    this.#options = options;
  }

  /** How many texts are being written. */
  get size(): number {
    return this.#rows.length;
  }

  /** How many more there is room for. */
  get free(): number {
    return this.#decoder.texts - this.#rows.length;
  }

  /** Starts a text. */
  add(text: Text, prompt: ArrayLike<number>, number: TextNumber = {}): void {
    allParts(this.adding(text, prompt, number));
  }

  /** `add` in parts. If it is abandoned, the text has not been started. */
  *adding(text: Text, prompt: ArrayLike<number>, number: TextNumber = {}): InParts<void> {
    const draft = new Draft(this.#decoder.config, prompt, this.#options, number);
    const logits = (yield* draft.starting(this.#decoder, this.#rows.length)).slice();
    this.#rows.push({ text, draft, logits, id: 0, ended: false });
  }

  /** Draws the next token of each text. */
  *draw(): Generator<Drawn<Text>> {
    for (const row of this.#rows) {
      row.id = row.draft.draw(row.logits);
      yield { text: row.text, id: row.id, logits: row.logits };
    }
  }

  /** Says that a text ends with the token drawn last. */
  end(text: Text): void {
    for (const row of this.#rows) if (row.text === text) row.ended = true;
  }

  /** Lets the model read what has been drawn. */
  advance(): void {
    allParts(this.advancing());
  }

  /** `advance` in parts. If it is abandoned, the batch must not be used any more. */
  *advancing(): InParts<void> {
    this.#removeEnded();
    const rows = this.#rows;
    if (rows.length === 0) return;
    const V = this.#decoder.config.vocabSize;
    for (const { draft, id } of rows) draft.append(id);
    // A text that has to be read anew sits this pass out: its row is computed for nothing, and read over.
    const full = rows.map(({ draft }) => draft.overflows);
    rows.forEach((_, text) => full[text] && this.#decoder.reset(text));
    if (full.includes(false)) {
      const logits = this.#decoder.step(rows.map(({ id }) => id));
      rows.forEach((row, text) => !full[text] && row.logits.set(logits.subarray(text * V, (text + 1) * V)));
    }
    for (const [text, { draft, logits }] of rows.entries())
      if (full[text]) logits.set(yield* draft.restarting(this.#decoder, text));
  }

  /** The last rows take the places of those that end. */
  #removeEnded(): void {
    const rows = this.#rows;
    for (let i = rows.length - 1; i >= 0; i--) {
      if (!rows[i].ended) continue;
      const last = rows.pop()!;
      if (i === rows.length) continue;
      this.#decoder.copy(rows.length, i);
      rows[i] = last;
    }
  }
}
