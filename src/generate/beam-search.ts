import type { InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';
import { Ranking } from './ranking.ts';
import { logProbabilities } from './token-details.ts';

export interface BeamOptions {
  /** Number of unfinished texts kept at each step; at most the decoder's batch. */
  readonly beams: number;
  readonly maxTokens: number;
  /** Exponent p of the score, log-probability / lengthᵖ: above 0 favors longer texts, below 0 shorter ones. */
  readonly lengthPenalty: number;
  /** Ids that are never generated. */
  readonly banned?: ReadonlySet<number>;
  /** Whether the last token, which belongs to the text, ends it. */
  readonly isEnd?: (ids: readonly number[]) => boolean;
}

/** A finished text. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /** Natural logarithm of its probability. */
  readonly logprob: number;
  /** logprob / lengthᵖ, the order of hypotheses. */
  readonly score: number;
}

/** An unfinished text. */
interface Beam {
  readonly ids: readonly number[];
  readonly logprob: number;
  /** Its row in the decoder; for a new beam, that of the beam it continues. */
  readonly text: number;
}

/**
 * Beam search: keeps the `beams` most likely continuations at each step. It ends as transformers'
 * `generate(num_beams=…, early_stopping=False)` does: when `beams` texts are finished and no unfinished one scores better at its
 * present length than the worst of them, or at `maxTokens`. With as many beams as possible texts it is exhaustive.
 *
 * In parts; returns up to `beams` texts, best first.
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
  /** Index in prompt and text of the first token in the KV cache. */
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
    // Only the first `beams` may finish; the following ones replace them.
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
      // The context is full: the last half of each text is prefilled, as in Sequence.
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
      logits = yield* decoder.stepping(running.map(({ ids }) => ids[length - 1]));
    }
  }
}

/**
 * Assigns each new beam one of the decoder's first texts: that of the beam it continues, or else a free one, to which the KV
 * cache is copied. Returns the beams in the order of their texts.
 *
 * @param offset position of the generated tokens in the cache, after what is left of the prompt; may be negative
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
