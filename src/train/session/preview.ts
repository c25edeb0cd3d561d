import type { Run } from '../../checkpoint/run.ts';
import { CHAT } from '../../data/documents/format.ts';
import type { Device } from '../../engine/device.ts';
import { Layout } from '../../engine/memory.ts';
import { Decoder } from '../../generate/decoder.ts';
import { generateInParts } from '../../generate/generate.ts';
import { startOfText } from '../../generate/prompt.ts';
import type { PlacedModel } from '../../model/placement.ts';
import type { Poll } from '../../polling.ts';
import { bannedIds, decodeContinuation } from '../../tokenizer/tokenizer.ts';
import type { EventSink } from '../events.ts';
import { isAverageBetter } from '../progress.ts';
import type { TrainingPrograms } from '../programs.ts';
import type { Settings } from '../settings.ts';
import type { TrainingData } from '../training-data.ts';

export interface PreviewSource {
  readonly run: Run;
  readonly backend: Device;
  readonly programs: TrainingPrograms;
  readonly data: TrainingData;
  readonly poll: Poll;
}

/**
 * Samples from the model after each evaluation, or from the average of its weights if that is better, and logs the text. An
 * interrupted sample is discarded.
 *
 * @param show receives the text and the step
 */
export function preview(source: PreviewSource, show: (text: string, step: number) => unknown): EventSink {
  const decoders = new Map<PlacedModel, Decoder>(); // shared by all previews, since programs stay loaded in a backend
  const decoderOf = (model: PlacedModel): Decoder => {
    const { backend, programs } = source;
    const made = decoders.get(model) ?? new Decoder(backend, model, new Layout(programs.end));
    decoders.set(model, made);
    return made;
  };
  return async (event, settings) => {
    if (event.type !== 'evaluation' || settings.sampleTokens === 0) return;
    const { run, programs } = source;
    const average = isAverageBetter(event.averaging) ? programs.average : undefined;
    const decoder = decoderOf((average ?? programs).model);
    const text = await sampleText(decoder, event.step, settings, source);
    if (text === undefined) return;
    run.log('samples', { step: event.step, text });
    await show(text, event.step);
  };
}

/** Without a prompt, as in `gpt sample`; of conversations, one starts with the first token of a split. */
async function sampleText(
  decoder: Decoder,
  step: number,
  settings: Settings,
  { data, poll }: PreviewSource,
): Promise<string | undefined> {
  const { tokenizer } = data;
  const start = settings.documents === CHAT ? data.train.slice(0, 1) : startOfText(tokenizer).ids;
  const sampled = generateInParts(decoder, start, {
    temperature: 0.8,
    topK: 0,
    topP: 1,
    maxTokens: settings.sampleTokens,
    seed: settings.seed,
    sample: step,
    banned: bannedIds(tokenizer),
    stop: tokenizer.special.endIds,
  });
  const ids: number[] = [];
  for await (const id of sampled) {
    if (await poll()) return undefined;
    if (id !== undefined) ids.push(id);
  }
  return decodeContinuation(tokenizer, ids);
}
