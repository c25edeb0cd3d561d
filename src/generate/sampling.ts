/** How the next token is drawn from what the model expects. */
export interface SamplingOptions {
  /** Divides the logits: below 1 bolder towards the likely, above 1 flatter; 0 always takes the likeliest (greedy). */
  readonly temperature: number;
  /** Only the k likeliest tokens may be drawn (Fan, Lewis & Dauphin 2018); 0: all. */
  readonly topK: number;
  /** Only the smallest set of tokens whose probabilities reach p (nucleus sampling, Holtzman et al. 2020); 1: all. */
  readonly topP: number;
}

/** A token that may be drawn, with its probability after all filters. */
export interface Candidate {
  readonly id: number;
  readonly probability: number;
}

/**
 * What may be drawn, likeliest first: temperature, then top-k, then top-p, as Hugging Face orders them. Of equal logits the
 * smaller id comes first, so that nothing depends on a sort's whims.
 *
 * @param logits [V]
 * @param banned ids that are never drawn, `<unk>` for one
 */
export function candidates(
  logits: ArrayLike<number>,
  { temperature, topK, topP }: SamplingOptions,
  banned: ReadonlySet<number> = new Set(),
): Candidate[] {
  let ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if (!banned.has(id)) ids.push(id);
  if (temperature === 0) return [{ id: likeliest(logits, ids), probability: 1 }];
  ids.sort((a, b) => logits[b] - logits[a] || a - b);
  if (topK > 0) ids = ids.slice(0, topK);
  const max = logits[ids[0]];
  const weights = ids.map((id) => Math.exp((logits[id] - max) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let kept = ids.length;
  if (topP < 1) {
    let reached = 0;
    kept = 0;
    while (kept < ids.length && reached < topP * total) reached += weights[kept++];
    kept = Math.max(kept, 1);
  }
  const keptTotal = weights.slice(0, kept).reduce((a, b) => a + b, 0);
  return ids.slice(0, kept).map((id, i) => ({ id, probability: weights[i] / keptTotal }));
}

function likeliest(logits: ArrayLike<number>, ids: readonly number[]): number {
  let best = ids[0];
  for (const id of ids) if (logits[id] > logits[best]) best = id;
  return best;
}

/** Draws one candidate. @param uniform a random number in [0, 1) */
export function draw(from: readonly Candidate[], uniform: number): number {
  let reached = 0;
  for (const { id, probability } of from) {
    reached += probability;
    if (uniform < reached) return id;
  }
  return from[from.length - 1].id; // rounding: the probabilities summed to a hair less than 1
}
