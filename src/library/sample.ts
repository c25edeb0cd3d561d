import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TextIndex } from '../generate/sequence.ts';
import { generate } from '../generate/generate.ts';
import { encodePrompt, startOfText, type Unk } from '../generate/prompt.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import { bannedIds } from '../tokenizer/tokenizer.ts';
import type { Model } from './model.ts';

export interface SampleOptions extends Partial<SamplingOptions>, TextIndex {
  /** Maximum number of tokens; default 500. */
  readonly maxTokens?: number;
  /**
   * Seed of the random numbers; default: a new one for each call. To use one seed for several prompts, give each its own
   * `promptIndex`; otherwise they share their random numbers.
   */
  readonly seed?: number;
  /** What to do with prompt text outside the vocabulary: fail (default), skip it, or replace it by `<unk>`. */
  readonly unk?: Unk;
  /** Continue past end tokens such as `<|endoftext|>`; default false. */
  readonly ignoreEos?: boolean;
}

/**
 * Continues a prompt, yielding text in chunks, without the prompt. Leave the loop to stop early. Several calls may sample
 * from one model concurrently.
 *
 *     for await (const text of sample(model, 'Call me')) process.stdout.write(text);
 *
 * @param prompt text to continue; '' starts a new one
 * @throws UserError if part of the prompt is not in the vocabulary, unless `unk` is given
 */
export async function* sample(
  model: Model,
  prompt = '',
  { unk = 'error', ignoreEos = false, ...options }: SampleOptions = {},
): AsyncGenerator<string, void, undefined> {
  const { tokenizer } = model;
  const { ids } =
    prompt === '' ? startOfText(tokenizer) : encodePrompt(tokenizer, prompt.toWellFormed(), unk);
  const decoder = await model.borrow();
  try {
    const drawn = generate(decoder, ids, {
      temperature: 0.8,
      topK: 0,
      topP: 1,
      maxTokens: 500,
      seed: Math.floor(Math.random() * 2 ** 32),
      ...options,
      banned: bannedIds(tokenizer),
      stop: ignoreEos ? new Set() : tokenizer.special.endIds,
    });
    const decoding = tokenizer.decoder(prompt !== ''); // a token may hold part of a character
    for await (const id of drawn) {
      const text = decoding.push([id]);
      if (text !== '') yield text;
      await nextTurn(); // let the event loop turn between tokens
      if (model.closed) throw new Error(`the model ${model.source.folder} was closed during sampling`);
    }
    const rest = decoding.end();
    if (rest !== '') yield rest;
  } finally {
    model.giveBack(decoder);
  }
}
