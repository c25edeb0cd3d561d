/** Penalties for tokens that have occurred before. */
export interface PenaltyOptions {
  /**
   * Divides the positive logits, and multiplies the negative ones, of tokens in the prompt or the text (Keskar et al. 2019,
   * CTRL, section 4.1); 1: none.
   */
  readonly repetitionPenalty?: number;
  /** Subtracted from a token's logit for each occurrence in the text, without the prompt; 0: none. */
  readonly frequencyPenalty?: number;
  /** Subtracted once from the logit of each token that occurs in the text, without the prompt; 0: none. */
  readonly presencePenalty?: number;
}

export const hasPenalties = ({
  repetitionPenalty = 1,
  frequencyPenalty = 0,
  presencePenalty = 0,
}: PenaltyOptions): boolean => repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;

/** Counts tokens and lowers the logits of those that have occurred. */
export class Penalties {
  readonly #repetition: number;
  readonly #frequency: number;
  readonly #presence: number;
  /** Occurrences of each token in the text; 0 for one that only the prompt has. */
  readonly #counts = new Map<number, number>();

  /** @param prompt counts only for the repetition penalty */
  constructor(options: PenaltyOptions, prompt: ArrayLike<number>) {
    this.#repetition = options.repetitionPenalty ?? 1;
    this.#frequency = options.frequencyPenalty ?? 0;
    this.#presence = options.presencePenalty ?? 0;
    for (let i = 0; i < prompt.length; i++) this.#counts.set(prompt[i], 0);
  }

  /** Counts a token of the text. */
  add(id: number): void {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  /** Changes the logits [V] in place. */
  apply(logits: Float64Array): void {
    for (const [id, count] of this.#counts) {
      const logit = logits[id];
      const repeated = logit < 0 ? logit * this.#repetition : logit / this.#repetition;
      logits[id] = repeated - count * this.#frequency - (count > 0 ? this.#presence : 0);
    }
  }
}
