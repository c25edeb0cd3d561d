/** Writes the texts that are asked for, several in one pass, and hands each on as it grows. */
import { Batch } from '../../generate/batch.ts';
import type { Decoder } from '../../generate/decoder.ts';
import { tokenDetails, type TokenDetails } from '../../generate/token-details.ts';
import { WrittenText } from '../../generate/written-text.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { SIGNAL_POLL_SECONDS, startPolling, unlessStopped } from '../../polling.ts';
import type { Request, Requests } from './prompts.ts';
import type { Settings } from './settings.ts';

/** A text that was asked for, as far as it is written. */
export interface Writing {
  readonly request: Request;
  readonly written: WrittenText;
  /** What the model thought of each token, if somebody wants to know. */
  readonly details: TokenDetails[];
}

/** Shows texts. Of several that are written together, all but the first wait until those before them are shown. */
export interface Output {
  start(writing: Writing): Promise<void>;
  /** There is more of it. */
  update(writing: Writing): Promise<void>;
  end(writing: Writing): Promise<void>;
}

export interface Model {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
}

export interface WriteOptions {
  readonly settings: Settings;
  readonly banned: ReadonlySet<number>;
  /** How many alternatives to keep for each token; undefined: no details at all. */
  readonly alternatives: number | undefined;
  /** Looked at between tokens: whether to stop. */
  readonly interrupted: () => boolean;
}

/** Writes all texts that are asked for, or until it is interrupted; what is unfinished then is shown as it is. */
export async function writeTexts(
  { decoder, tokenizer }: Model,
  requests: Requests,
  { settings, banned, alternatives, interrupted }: WriteOptions,
  output: Output,
): Promise<void> {
  const batch = new Batch<Writing>(decoder, { ...settings, banned });
  const ends = {
    maxTokens: settings.maxTokens,
    stopStrings: settings.stop,
    stopIds: tokenizer.special.endIds,
  };
  const poll = startPolling(() => interrupted(), SIGNAL_POLL_SECONDS);
  const queue: Writing[] = []; // in the order of the requests; the first is being shown
  let failure: unknown; // of a prompt; the texts after those before it are finished first

  const takeRequests = async (): Promise<void> => {
    while (failure === undefined && batch.free > 0 && !interrupted()) {
      let request: Request | undefined;
      try {
        request = requests.take();
      } catch (error) {
        failure = error;
      }
      if (request === undefined) return;
      const writing = { request, written: new WrittenText(tokenizer, ends), details: [] };
      const number = { promptIndex: request.index, sample: request.sample };
      const started = await unlessStopped(batch.adding(writing, request.prompt.ids, number), poll);
      if (started === undefined) return;
      if (queue.push(writing) === 1) await output.start(writing);
      await poll();
    }
  };

  for (;;) {
    await takeRequests();
    if (batch.size === 0) {
      if (failure !== undefined || interrupted() || !(await requests.more())) break;
      continue;
    }
    for (const { text: writing, id, logits } of batch.draw()) {
      const { written, details } = writing;
      written.push(id);
      if (written.finishReason !== undefined) batch.end(writing);
      if (alternatives !== undefined && details.length < written.ids.length)
        details.push(tokenDetails(logits, id, alternatives));
    }
    const first = queue[0];
    if (first.written.finishReason === undefined) await output.update(first);
    else await showFinished(queue, output);
    // Signals, keys and a closed pipe are noticed here. A turn of the event loop costs 2 % of a nano token: not after each.
    if (await poll()) break;
    if ((await unlessStopped(batch.advancing(), poll)) === undefined) break;
  }
  for (const [i, writing] of queue.entries()) {
    if (i > 0) await output.start(writing);
    if (writing.written.finishReason === undefined) writing.written.end();
    await output.end(writing);
  }
  if (failure !== undefined) throw failure;
}

/** Shows the texts at the head of the queue that are finished, and starts to show the one behind them. */
async function showFinished(queue: Writing[], output: Output): Promise<void> {
  while (queue.length > 0 && queue[0].written.finishReason !== undefined) {
    await output.end(queue[0]);
    queue.shift();
    if (queue.length > 0) await output.start(queue[0]);
  }
  if (queue.length > 0) await output.update(queue[0]);
}
