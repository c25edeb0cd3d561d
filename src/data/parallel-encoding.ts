/**
 * Encodes text on several threads. Blocks that `Tokenizer.cut` proves independent are encoded in parallel and returned in
 * order; the ids are those of a single thread.
 *
 * Everything is synchronous, like all readers of a corpus: threads wait on shared memory, and messages are polled.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { workerFlags } from '../worker-flags.ts';
import { encode, encodeWhole, type Encoder, type TextPart, type Tokenizer } from '../tokenizer/tokenizer.ts';

/** In UTF-16 units. Starting a thread takes as long as encoding a few million units. */
const WORTH_A_THREAD = 4 << 20;
/** A text without a cut in this many units is encoded serially. */
const LARGEST_BLOCK = 16 << 20;
/** Blocks per thread: one in progress and one queued. */
const JOBS = 2;
/** A block between the first and the last of a text. */
export const WITHIN: TextPart = { isFirst: false, isLast: false };

/** In milliseconds. A thread that takes longer for a block is presumed dead, and the main thread encodes the block. */
const LONGEST_WAIT = 60_000;

/** Indices of the control words shared with the main thread. */
export const READY = 0;
export const POSTED = 1;
export const DONE = 2;

export interface EncodingWorkerData {
  /** The content of tokenizer.json. */
  readonly tokenizer: string;
  readonly control: Int32Array;
  /** Receives texts, sends arrays of ids. */
  readonly port: MessagePort;
}

/**
 * @param pieces chunks of a text, of any size
 * @param threads maximum number of threads, including this one
 * @param from length of text before workers are started, in UTF-16 units
 * @returns the ids in chunks
 */
export function* encodeInParallel(
  pieces: Iterable<string>,
  tokenizer: Tokenizer,
  { threads, from = WORTH_A_THREAD }: { threads: number; from?: number },
): Generator<Uint32Array> {
  const encoder = tokenizer.encoder(undefined, WITHIN);
  let isFirst = true; // nothing is encoded yet
  let helpers: Helper[] | undefined;
  const blocks: (() => Uint32Array)[] = []; // blocks given to workers, in order
  let seen = 0;
  let held = '';
  const rest = pieces[Symbol.iterator]();
  try {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      held += next.value;
      seen += next.value.length;
      const end = tokenizer.cut(held);
      if (end === 0) {
        if (held.length > LARGEST_BLOCK) break;
        continue;
      }
      const block = held.slice(0, end);
      held = held.slice(end);
      if (isFirst) {
        yield encode(tokenizer, block, undefined, { isFirst: true, isLast: false });
        isFirst = false;
        continue;
      }
      if (seen > from) helpers ??= startHelpers(tokenizer, encoder, threads - 1);
      const helper = helpers?.find((each) => each.isFree());
      if (helper !== undefined) {
        blocks.push(helper.encode(block));
        continue;
      }
      const ids = encodeWhole(encoder, block);
      while (blocks.length > 0) yield blocks.shift()!();
      yield ids;
    }
    while (blocks.length > 0) yield blocks.shift()!();
    const last = tokenizer.encoder(undefined, { isFirst, isLast: true });
    yield last.push(held);
    for (let next = rest.next(); next.done !== true; next = rest.next()) yield last.push(next.value);
    yield last.end();
  } finally {
    rest.return?.();
    helpers?.forEach((helper) => helper.stop());
  }
}

interface Helper {
  isFree(): boolean;
  /** Sends a block; the returned function waits for its ids. */
  encode(block: string): () => Uint32Array;
  stop(): void;
}

/** None where threads are not allowed, as under Node's permission model or in a page. */
function startHelpers(tokenizer: Tokenizer, encoder: Encoder, count: number): Helper[] {
  const json = tokenizer.source ?? JSON.stringify(tokenizer.toJSON());
  const helpers: Helper[] = [];
  try {
    while (helpers.length < count) helpers.push(startHelper(json, encoder));
  } catch {
    // this thread encodes what they would have
  }
  return helpers;
}

/** @param encoder replaces a worker that has died */
function startHelper(json: string, encoder: Encoder): Helper {
  const control = new Int32Array(new SharedArrayBuffer(12));
  const { port1: ours, port2: port } = new MessageChannel();
  const worker = new Worker(new URL('../../dist/data/encoding-worker.js', import.meta.url), {
    workerData: { tokenizer: json, control, port } satisfies EncodingWorkerData,
    transferList: [port],
    execArgv: workerFlags(),
  });
  worker.unref();
  worker.on('error', () => {}); // such a worker never becomes ready or never finishes
  let [posted, taken] = [0, 0];
  let dead = false;
  const isDone = (job: number): boolean => {
    for (let done = Atomics.load(control, DONE); done < job; done = Atomics.load(control, DONE))
      if (Atomics.wait(control, DONE, done, LONGEST_WAIT) === 'timed-out') return false;
    return true;
  };
  return {
    isFree: () => !dead && Atomics.load(control, READY) === 1 && posted - taken < JOBS,
    encode(block) {
      const job = ++posted;
      ours.postMessage(block);
      Atomics.store(control, POSTED, job);
      Atomics.notify(control, POSTED);
      return () => {
        taken++;
        dead ||= !isDone(job);
        return dead
          ? encodeWhole(encoder, block)
          : (receiveMessageOnPort(ours) as { message: Uint32Array }).message;
      };
    },
    stop() {
      ours.close();
      void worker.terminate();
    },
  };
}
