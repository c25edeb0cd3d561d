/** Generates the answers of a chat. */
import { fitTurns, type FittedTurns } from '../../chat/turns.ts';
import type { Conversation } from '../../chat/conversation.ts';
import { Philox, Stream } from '../../engine/philox.ts';
import { UserError } from '../../errors.ts';
import type { CachedTokens } from '../../generate/cached-tokens.ts';
import { Sampler } from '../../generate/sampling.ts';
import { WrittenText, type FinishReason } from '../../generate/written-text.ts';
import { SIGNAL_POLL_SECONDS, startPolling, unlessStopped } from '../../polling.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { SamplingSettings } from '../sampling-settings.ts';

/** How a conversation is formatted for a model, and where its answer ends. */
export interface ChatFormat {
  /** Token ids of a conversation, followed by the template's generation prompt. @throws UserError if the template refuses it */
  readonly encode: (messages: Conversation) => Uint32Array;
  /** The parts of a message that are not in the vocabulary. @throws UserError if there are any, with `--unk error` */
  readonly unknownIn: (message: string) => readonly string[];
  readonly endIds: ReadonlySet<number>;
  readonly stopStrings: readonly string[];
}

export interface ChatModel {
  readonly tokenizer: Tokenizer;
  readonly format: ChatFormat;
  /** The context length. */
  readonly blockSize: number;
  readonly cache: CachedTokens;
  /** Ids that are never sampled. */
  readonly banned: ReadonlySet<number>;
}

export interface AnswerOptions {
  readonly settings: SamplingSettings;
  /** Index of the answer among those with this seed. */
  readonly sample: number;
  /** Number of turns dropped so far. */
  readonly dropped: number;
  /** Polled between tokens. */
  readonly interrupted: () => boolean;
  /** Receives the text as it grows. */
  readonly show: (text: string) => Promise<void>;
}

export interface Answer {
  readonly text: string;
  readonly finishReason: FinishReason | 'interrupted';
  /** The last turn alone fills the context. */
  readonly isCutOff: boolean;
  readonly dropped: number;
  /** The parts of the message that are not in the vocabulary. */
  readonly unknown: readonly string[];
  readonly promptTokens: number;
  /** Of these, the tokens that were not in the KV cache. */
  readonly prefilledTokens: number;
  readonly completionTokens: number;
}

/**
 * Answers the last message of a conversation.
 *
 * @throws UserError if the message is too long or, with `--unk error`, has text outside the vocabulary
 */
export async function answerTo(
  conversation: Conversation,
  model: ChatModel,
  { settings, sample, dropped, interrupted, show }: AnswerOptions,
): Promise<Answer> {
  const { tokenizer, format, blockSize, cache, banned } = model;
  const unknown = format.unknownIn(conversation.at(-1)!.content);
  let fitted = fitTurns(conversation, dropped, 0, { blockSize, ...format }) ?? refuse(conversation, model);
  const promptTokens = fitted.ids.length;
  const prefilledTokens = promptTokens - cache.sharedWith(fitted.ids);
  const written = new WrittenText(tokenizer, {
    maxTokens: settings.maxTokens,
    stopStrings: [...settings.stop, ...format.stopStrings],
    stopIds: format.endIds,
  });
  const poll = startPolling(interrupted, SIGNAL_POLL_SECONDS);
  const sampler = new Sampler(tokenizer.vocabSize, settings, banned, fitted.ids);
  const random = new Philox(settings.seed, sample, Stream.sampling, 0);
  let isCutOff = false;
  let next = await unlessStopped(cache.reading(fitted.ids), poll);
  while (next !== undefined) {
    const id = sampler.draw(next.value, random.uniform());
    sampler.accept(id);
    written.push(id);
    await show(written.takeNewText());
    if (written.finishReason !== undefined || (await poll())) break;
    if (cache.length < blockSize) next = await unlessStopped(cache.appending(id), poll);
    else {
      const refitted: FittedTurns | undefined = fitTurns(conversation, fitted.dropped, written.ids.length, {
        blockSize,
        ...format,
      });
      isCutOff = refitted === undefined;
      if (refitted === undefined) break;
      fitted = refitted;
      next = await unlessStopped(cache.reading([...fitted.ids, ...written.ids]), poll);
    }
  }
  const { finishReason = isCutOff ? 'length' : 'interrupted' } = written;
  if (written.finishReason === undefined) written.end();
  await show(written.takeNewText());
  return {
    text: written.text,
    finishReason,
    isCutOff,
    dropped: fitted.dropped,
    unknown,
    promptTokens,
    prefilledTokens,
    completionTokens: written.ids.length,
  };
}

function refuse(conversation: Conversation, { format, blockSize }: ChatModel): never {
  const system = conversation.filter(({ role }) => role === 'system');
  const [last] = conversation.slice(-1);
  const tokens = format.encode([...system, last]).length;
  throw new UserError(
    'context-exceeded',
    `the message${system.length > 0 ? ' and the system message have' : ' has'} ${tokens} tokens, and the context length of the model is ${blockSize}`,
    { hint: `write less${system.length > 0 ? ', or shorten the system message' : ''}` },
  );
}
