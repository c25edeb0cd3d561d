import type { InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';
import { Ranking } from './ranking.ts';
import { logProbabilities } from './token-details.ts';

export interface BeamOptions {
  /** How many unfinished texts are kept at each step; at most what the decoder can write together. */
  readonly beams: number;
  readonly maxTokens: number;
  /** Texts are compared by their log-probability over lengthᵖ, p being this: above 0 it favours longer ones, below 0 shorter. */
  readonly lengthPenalty: number;
  /** Ids that are never written. */
  readonly banned?: ReadonlySet<number>;
  /** Whether a text ends with its last token, which then is a part of it. */
  readonly isEnd?: (ids: readonly number[]) => boolean;
}

/** A finished text. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /** Natural logarithm of its probability, all tokens together. */
  readonly logprob: number;
  /** logprob / lengthᵖ, by which hypotheses are compared. */
  readonly score: number;
}

/** An unfinished text. */
interface Beam {
  readonly ids: readonly number[];
  readonly logprob: number;
  /** Which text of the decoder it is; for a new one: that of the text it continues. */
  readonly text: number;
}

/**
 * Beam search: of all continuations of the texts so far, the likeliest `beams` are kept at each step. Ends as transformers'
 * `generate(num_beams=…, early_stopping=False)` does, when `beams` texts are finished and no unfinished one is, at its present
 * length, better than the worst of them; or at the greatest length. With as many beams as there are texts it is exhaustive.
 *
 * In parts; returns up to `beams` texts, the best first.
 */
export async function* beamSearch(
  decoder: Decoder,
  prompt: ArrayLike<number>,
  options: BeamOptions,
): InParts<Hypothesis[]> {
  const { beams, maxTokens, lengthPenalty, banned = new Set(), isEnd = () => false } = options;
  const { blockSize, vocabSize: V } = decoder.config;
  const context = Array.from(prompt).slice(-blockSize);
  const sums = new Float64Array(beams * V);
  const everything = Uint32Array.from(sums.keys());
  const ranking = new Ranking(beams * V);
  let finished: Hypothesis[] = [];
  let running: Beam[] = [{ ids: [], logprob: 0, text: 0 }];
  /** Where in prompt and text what the decoder has read starts. */
  let start = 0;
  decoder.reset();
  let logits = yield* decoder.reading(context);

  for (let length = 1; ; length++) {
    running.forEach(({ logprob }, row) => {
      const logs = logProbabilities(logits.subarray(row * V, (row + 1) * V));
      for (const id of banned) logs[id] = -Infinity;
      for (let id = 0; id < V; id++) sums[row * V + id] = logprob + logs[id];
    });
    ranking.start(everything, running.length * V, sums);
    const next: Beam[] = [];
    // Only the likeliest `beams` may finish; those behind them are there in case some of these do.
    for (let rank = 0; ranking.size > 0 && next.length < beams; rank++) {
      const best = ranking.next();
      const logprob = sums[best];
      if (logprob === -Infinity) break;
      const { ids, text } = running[Math.floor(best / V)];
      const longer = [...ids, best % V];
      if (length < maxTokens && !isEnd(longer)) next.push({ ids: longer, logprob, text });
      else if (rank < beams)
        finished.push({ ids: longer, logprob, score: logprob / length ** lengthPenalty });
      else if (length === maxTokens) break;
    }
    finished = finished.sort((a, b) => b.score - a.score).slice(0, beams);
    yield;
    if (next.length === 0) return finished;
    const open = next[0].logprob / length ** lengthPenalty;
    if (finished.length === beams && open <= finished[beams - 1].score) return finished;

    const before = running;
    running = [];
    const end = context.length + length;
    if (end - start > blockSize) {
      // The block is full: each text's younger half is read anew, as in Draft.
      start = end - Math.max(1, Math.floor(blockSize / 2));
      const all = new Float32Array(next.length * V);
      for (const [text, { ids, logprob }] of next.entries()) {
        decoder.reset(text);
        all.set(yield* decoder.reading([...context, ...ids].slice(start), text), text * V);
        running.push({ ids, logprob, text });
      }
      logits = all;
    } else {
      running = arrange(decoder, before, next, context.length - start);
      logits = await decoder.step(running.map(({ ids }) => ids[length - 1]));
    }
  }
}

/**
 * Gives each new text a place among the decoder's first ones: that of the text it continues, or else one of which nothing is
 * continued, into which the cache is copied. Returns them in the order of their places.
 *
 * @param offset where in the cache the texts begin, behind what is left of the prompt; may be negative
 */
function arrange(decoder: Decoder, before: readonly Beam[], next: readonly Beam[], offset: number): Beam[] {
  const placed: Beam[] = [];
  const others = next.filter((beam) => {
    if (beam.text >= next.length || placed[beam.text] !== undefined) return true;
    placed[beam.text] = beam;
    return false;
  });
  for (const beam of others) {
    let text = 0;
    while (placed[text] !== undefined) text++;
    const [old, from] = [before[text]?.ids ?? [], before[beam.text].ids];
    let alike = 0;
    while (alike < old.length && old[alike] === from[alike]) alike++;
    decoder.copy(beam.text, text, before[text] === undefined ? 0 : Math.max(0, offset + alike));
    placed[text] = { ...beam, text };
  }
  return placed;
}
