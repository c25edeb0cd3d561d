/** Samples all requested texts as a batch and passes them to an output as they grow. */
import { SequenceBatch } from '../../generate/sequence-batch.ts';
import type { Decoder } from '../../generate/decoder.ts';
import { tokenDetails, type TokenDetails } from '../../generate/token-details.ts';
import { WrittenText } from '../../generate/written-text.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { SIGNAL_POLL_SECONDS, startPolling, unlessStopped } from '../../polling.ts';
import type { Request, Requests } from './requests.ts';
import type { SamplingSettings } from '../sampling-settings.ts';

/** A requested text in progress. */
export interface Writing {
  readonly request: Request;
  readonly written: WrittenText;
  /** Details of each token, if requested. */
  readonly details: TokenDetails[];
}

/** Displays texts. In a batch, all texts but the first wait until those before them are complete. */
export interface Output {
  start(writing: Writing): Promise<void>;
  /** The text has grown. */
  update(writing: Writing): Promise<void>;
  end(writing: Writing): Promise<void>;
}

export interface Model {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
}

/** Recorded per token, unless `--alternatives` is given. */
export const ALTERNATIVES = 5;

export interface WriteOptions {
  readonly settings: SamplingSettings;
  readonly banned: ReadonlySet<number>;
  /** Number of alternatives to record per token; undefined for no details. */
  readonly alternatives: number | undefined;
  /** Polled between tokens. */
  readonly interrupted: () => boolean;
}

/** Samples all requests until done or interrupted; unfinished texts are then shown as they are. */
export async function writeTexts(
  { decoder, tokenizer }: Model,
  requests: Requests,
  { settings, banned, alternatives, interrupted }: WriteOptions,
  output: Output,
): Promise<void> {
  const batch = new SequenceBatch<Writing>(decoder, { ...settings, banned });
  const ends = {
    maxTokens: settings.maxTokens,
    stopStrings: settings.stop,
    stopIds: tokenizer.special.endIds,
  };
  const poll = startPolling(() => interrupted(), SIGNAL_POLL_SECONDS);
  const queue: Writing[] = []; // in the order of requests; the first is being shown
  let failure: unknown; // error of a prompt, thrown after the texts before it

  const takeRequests = async (): Promise<void> => {
    while (failure === undefined && batch.free > 0 && !interrupted()) {
      let request: Request | undefined;
      try {
        request = requests.next();
      } catch (error) {
        failure = error;
      }
      if (request === undefined) return;
      const isContinued = request.prompt.text !== '';
      const writing = { request, written: new WrittenText(tokenizer, ends, isContinued), details: [] };
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
      if (failure !== undefined || interrupted() || !(await requests.wait())) break;
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
    // Lets signals, keys and closed pipes arrive; not after each token, since a turn of the event loop takes time.
    if (await poll()) break;
    const isDone = await batch.advanceAtOnce();
    if (!isDone && (await unlessStopped(batch.advancing(), poll)) === undefined) break;
  }
  for (const [i, writing] of queue.entries()) {
    if (i > 0) await output.start(writing);
    if (writing.written.finishReason === undefined) writing.written.end();
    await output.end(writing);
  }
  if (failure !== undefined) throw failure;
}

/** Shows finished texts at the head of the queue and starts the next one. */
async function showFinished(queue: Writing[], output: Output): Promise<void> {
  while (queue.length > 0 && queue[0].written.finishReason !== undefined) {
    await output.end(queue[0]);
    queue.shift();
    if (queue.length > 0) await output.start(queue[0]);
  }
  if (queue.length > 0) await output.update(queue[0]);
}
