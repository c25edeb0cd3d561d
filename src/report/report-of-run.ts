/** Makes the report of a run from its folder. */
import type { Device } from '../engine/device.ts';
import { Decoder } from '../generate/decoder.ts';
import { generate } from '../generate/generate.ts';
import { encodePrompt, startOfText, type Unk } from '../generate/prompt.ts';
import type { RunRecord } from '../inspect/run-record.ts';
import type { TensorTarget } from '../model/tensor.ts';
import { noReport, type Report } from '../reporting.ts';
import { bannedIds } from '../tokenizer/tokenizer.ts';
import { VIEWED_TOKENS, viewModel } from './model-views.ts';
import { runReport } from './report.ts';

export interface ShownText {
  /** For the attention maps; default: the last sample of the run, else a new one. */
  readonly text?: string | undefined;
  readonly unk: Unk;
}

/** @param report receives progress @returns the page */
export async function reportOfRun(
  run: RunRecord,
  device: Device,
  shown: ShownText,
  report: Report = noReport,
): Promise<string> {
  const ids = await textToRead(run, device, shown, report);
  const { model } = run;
  const viewed = ids.slice(0, Math.min(VIEWED_TOKENS, model.config.blockSize));
  return runReport(run, await viewModel(model, device, viewed, report), {
    hasSample: shown.text === undefined,
  });
}

async function textToRead(
  { model, logs }: RunRecord,
  device: Device,
  { text: given, unk }: ShownText,
  report: Report,
): Promise<Uint32Array> {
  const { tokenizer, config } = model;
  if (given !== undefined) return encodePrompt(tokenizer, given.toWellFormed(), unk).ids;
  const sample = logs.samples.at(-1)?.text ?? '';
  if (sample !== '') return encodePrompt(tokenizer, sample, 'replace').ids;
  report('preparing the text');
  const load = (tensors: TensorTarget[]): void =>
    model.load(tensors, { loaded: (done) => report('loading the model', done) });
  const decoder = Decoder.create(device, config, load, 1, model.storageOf);
  const drawing = { temperature: 0.8, topK: 0, topP: 1, maxTokens: VIEWED_TOKENS, seed: 1 };
  const banned = bannedIds(tokenizer);
  const ids: number[] = [];
  for await (const id of generate(decoder, startOfText(tokenizer).ids, { ...drawing, banned })) ids.push(id);
  return Uint32Array.from(ids);
}
