/** `--beams`: prints the likeliest texts found by beam search instead of samples. */
import { beamSearch, type Hypothesis } from '../../generate/beam-search.ts';
import { Sequence } from '../../generate/sequence.ts';
import { tokenDetails, type TokenDetails } from '../../generate/token-details.ts';
import { WrittenText } from '../../generate/written-text.ts';
import { decodeContinuation, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { SIGNAL_POLL_SECONDS, startPolling, unlessStopped, type InParts } from '../../polling.ts';
import type { Request, Requests } from './requests.ts';
import type { SamplingSettings } from '../sampling-settings.ts';
import type { Model, Output, WriteOptions, Writing } from './write.ts';

interface BeamFlags {
  readonly beams: number;
  readonly lengthPenalty: number;
}

/** Like `writeTexts`. For each prompt, sample 1 is the best text, sample 2 the second best. */
export async function searchTexts(
  model: Model,
  requests: Requests,
  { settings, banned, alternatives, interrupted }: WriteOptions,
  { beams, lengthPenalty }: BeamFlags,
  output: Output,
): Promise<void> {
  const { decoder, tokenizer } = model;
  const stopIds = tokenizer.special.endIds;
  const isEnd = (ids: readonly number[]): boolean =>
    stopIds.has(ids[ids.length - 1]) || endsWithStop(tokenizer, ids, settings.stop);
  let found: readonly Hypothesis[] = [];
  let index = -1;
  const poll = startPolling(() => interrupted(), SIGNAL_POLL_SECONDS);
  do {
    for (let request = requests.next(); request !== undefined; request = requests.next()) {
      if (request.index !== index) {
        const { maxTokens } = settings;
        const search = beamSearch(decoder, request.prompt.ids, {
          beams,
          lengthPenalty,
          maxTokens,
          banned,
          isEnd,
        });
        const ended = await unlessStopped(search, poll);
        if (ended === undefined) return;
        found = ended.value;
        index = request.index;
      }
      const hypothesis = found[request.sample];
      if (hypothesis === undefined) continue; // a small vocabulary may yield fewer texts
      const told = await unlessStopped(retelling(model, request, hypothesis, settings, alternatives), poll);
      if (told === undefined) return;
      const writing = told.value;
      await output.start(writing);
      await output.update(writing);
      await output.end(writing);
    }
  } while (!interrupted() && (await requests.wait()));
}

/** Whether the last token completes a stop string. */
function endsWithStop(tokenizer: Tokenizer, ids: readonly number[], stops: readonly string[]): boolean {
  if (stops.length === 0) return false;
  const text = decodeContinuation(tokenizer, ids);
  return stops.some((stop) => text.includes(stop));
}

/** Presents a finished hypothesis like a sampled text. Yields between tokens, because details take another forward pass. */
async function* retelling(
  { decoder, tokenizer }: Model,
  request: Request,
  { ids }: Hypothesis,
  settings: SamplingSettings,
  alternatives: number | undefined,
): InParts<Writing> {
  const ends = {
    maxTokens: settings.maxTokens,
    stopStrings: settings.stop,
    stopIds: tokenizer.special.endIds,
  };
  const written = new WrittenText(tokenizer, ends, request.prompt.text !== '');
  for (const id of ids) written.push(id);
  const details: TokenDetails[] = [];
  if (alternatives !== undefined) {
    const sequence = new Sequence(decoder.config, request.prompt.ids, settings);
    let logits = yield* sequence.starting(decoder);
    for (const id of written.ids) {
      details.push(tokenDetails(logits, id, alternatives));
      yield;
      logits = yield* sequence.advancing(decoder, id);
    }
  }
  return { request, written, details };
}
