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
 * What may be drawn: temperature, then top-k, then top-p, as Hugging Face orders them. With top-k or top-p the likeliest
 * come first, of equal ones the smaller id; else they are in the order of ids, as sorting a large vocabulary for every token
 * would take longer than computing it.
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
  let best = ids[0];
  for (const id of ids) if (logits[id] > logits[best]) best = id;
  if (temperature === 0) return [{ id: best, probability: 1 }];

  const weight = (id: number): number => Math.exp((logits[id] - logits[best]) / temperature);
  const total = (of: readonly number[]): number => of.reduce((sum, id) => sum + weight(id), 0);
  if (topK > 0 && topK < ids.length) ids = likeliest(logits, ids, topK);
  if (topP < 1) ids = nucleus(logits, ids, topP * total(ids), weight);
  const sum = total(ids);
  return ids.map((id) => ({ id, probability: weight(id) / sum }));
}

const byLikelihood =
  (logits: ArrayLike<number>) =>
  (a: number, b: number): number =>
    logits[b] - logits[a] || a - b;

/** The k likeliest ids, likeliest first. */
function likeliest(logits: ArrayLike<number>, ids: readonly number[], k: number): number[] {
  const compare = byLikelihood(logits);
  if (k > 256) return ids.toSorted(compare).slice(0, k);
  const found: number[] = []; // in order; most ids are less likely than all of it, which one comparison tells
  for (const id of ids) {
    if (found.length === k && compare(id, found[k - 1]) > 0) continue;
    let at = found.length;
    while (at > 0 && compare(id, found[at - 1]) < 0) at--;
    found.splice(at, 0, id);
    if (found.length > k) found.pop();
  }
  return found;
}

/** The smallest set of ids whose weights reach `wanted`, likeliest first. The few far above the others are tried first. */
function nucleus(
  logits: ArrayLike<number>,
  ids: readonly number[],
  wanted: number,
  weight: (id: number) => number,
): number[] {
  for (const smallest of [1e-4, 0]) {
    const sorted = ids.filter((id) => weight(id) >= smallest).sort(byLikelihood(logits));
    let reached = 0;
    for (let kept = 0; kept < sorted.length; kept++) {
      reached += weight(sorted[kept]);
      if (reached >= wanted) return sorted.slice(0, kept + 1);
    }
  }
  return ids.toSorted(byLikelihood(logits)); // rounding: the same sum in another order fell short by a hair
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
