import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TextNumber } from '../generate/draft.ts';
import { generate } from '../generate/generate.ts';
import { encodePrompt, startOfText, type Unk } from '../generate/prompt.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import { bannedIds } from '../tokenizer/tokenizer.ts';
import type { Model } from './model.ts';

export interface SampleOptions extends Partial<SamplingOptions>, TextNumber {
  /** How many tokens to write; default: 500. */
  readonly maxTokens?: number;
  /**
   * The same seed writes the same text; default: another one each time. Of several prompts with one seed, give each its
   * `promptIndex`: they would otherwise draw the same random numbers.
   */
  readonly seed?: number;
  /** Prompt text that the model's vocabulary lacks: an error (the default), left out, or `<unk>`. */
  readonly unk?: Unk;
  /** Whether to continue past the end of a text, such as `<|endoftext|>`; default: false. */
  readonly ignoreEos?: boolean;
}

/**
 * Writes on after a prompt, piece by piece, without the prompt itself. Leave the loop to stop early. Several texts of one
 * model may be written at the same time.
 *
 *     for await (const text of sample(model, 'Call me')) process.stdout.write(text);
 *
 * @param prompt what to continue; '' starts a text
 * @throws UserError if the vocabulary lacks a part of the prompt, unless `unk` says what to do
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
    const decoding = tokenizer.decoder(); // a token may hold a part of a character
    for (const id of drawn) {
      const text = decoding.push([id]);
      if (text !== '') yield text;
      await nextTurn(); // other work of the process gets its turn between two tokens
      if (model.closed) throw new Error('the model was closed while it wrote');
    }
    const rest = decoding.end();
    if (rest !== '') yield rest;
  } finally {
    model.giveBack(decoder);
  }
}
