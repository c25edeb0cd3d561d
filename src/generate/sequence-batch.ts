import { allParts, type InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';
import { Sequence, type SequenceOptions, type TextIndex } from './sequence.ts';

/** The next token of one text. */
export interface Drawn<Text> {
  /** The text, as passed to `add`. */
  readonly text: Text;
  readonly id: number;
  /** The logits [V] it was sampled from; valid until `advance`. */
  readonly logits: Float32Array;
}

interface BatchRow<Text> {
  readonly text: Text;
  readonly sequence: Sequence;
  /** [V]; the row of the last decode step, or a copy of its own after a prefill. */
  logits: Float32Array;
  id: number;
  ended: boolean;
}

/**
 * Decodes several texts as a batch: one decode step for all of them, which reads the weights from memory once. Each text is
 * bit-identical to the same text decoded alone. Texts may join and leave between two tokens:
 *
 *     await batch.add('first', ids);
 *     while (batch.size > 0) {
 *       for (const { text, id } of batch.draw()) if (isLast(text, id)) batch.end(text);
 *       await batch.advance();
 *     }
 */
export class SequenceBatch<Text> {
  readonly #decoder: Decoder;
  readonly #options: SequenceOptions;
  /** Row i is text i of the decoder. */
  readonly #rows: BatchRow<Text>[] = [];

  constructor(decoder: Decoder, options: SequenceOptions) {
    this.#decoder = decoder;
    this.#options = options;
  }

  /** Number of texts in the batch. */
  get size(): number {
    return this.#rows.length;
  }

  /** Number of texts that can still be added. */
  get free(): number {
    return this.#decoder.texts - this.#rows.length;
  }

  /** Adds a text and prefills its prompt. */
  add(text: Text, prompt: ArrayLike<number>, number: TextIndex = {}): Promise<void> {
    return allParts(this.adding(text, prompt, number));
  }

  /** `add` in parts. If abandoned, the text has not been added. */
  async *adding(text: Text, prompt: ArrayLike<number>, number: TextIndex = {}): InParts<void> {
    const sequence = new Sequence(this.#decoder.config, prompt, this.#options, number);
    const logits = (yield* sequence.starting(this.#decoder, this.#rows.length)).slice();
    this.#rows.push({ text, sequence, logits, id: 0, ended: false });
  }

  /** Samples the next token of each text. */
  *draw(): Generator<Drawn<Text>> {
    for (const row of this.#rows) {
      row.id = row.sequence.draw(row.logits);
      yield { text: row.text, id: row.id, logits: row.logits };
    }
  }

  /** Ends a text with the token sampled last. */
  end(text: Text): void {
    for (const row of this.#rows) if (row.text === text) row.ended = true;
  }

  /** Runs the decode step for the tokens just sampled. */
  advance(): Promise<void> {
    return allParts(this.advancing());
  }

  /** `advance` in parts. If abandoned, the batch must not be used any more. */
  async *advancing(): InParts<void> {
    this.#removeEnded();
    const rows = this.#rows;
    if (rows.length === 0) return;
    for (const { sequence, id } of rows) sequence.append(id);
    // A text whose context is full skips this step: the result of its row is discarded, and it is prefilled afterwards.
    const full = rows.map(({ sequence }) => sequence.overflows);
    rows.forEach((_, text) => full[text] && this.#decoder.reset(text));
    if (full.includes(false)) this.#keepLogits(yield* this.#decoder.stepping(rows.map(({ id }) => id)));
    for (const [text, row] of rows.entries())
      if (full[text]) row.logits = (yield* row.sequence.restarting(this.#decoder, text)).slice();
  }

  /** `advance` without parts if the step is too short to need any; resolves to false, and does nothing, otherwise. */
  async advanceAtOnce(): Promise<boolean> {
    this.#removeEnded();
    const rows = this.#rows;
    if (!this.#decoder.isStepShort(rows.length) || rows.some(({ sequence }) => sequence.isFull)) return false;
    for (const { sequence, id } of rows) sequence.append(id);
    this.#keepLogits(await this.#decoder.step(rows.map(({ id }) => id)));
    return true;
  }

  /** @param logits [rows,V] */
  #keepLogits(logits: Float32Array): void {
    const V = this.#decoder.config.vocabSize;
    this.#rows.forEach((row, text) => (row.logits = logits.subarray(text * V, (text + 1) * V)));
  }

  /** Fills the rows of ended texts with the last rows. */
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
