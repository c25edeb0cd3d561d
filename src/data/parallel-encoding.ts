/**
 * Text to ids on several threads: blocks of text that do not depend on each other, as `Tokenizer.cut` finds them, are encoded
 * side by side and come out in order. The ids are those of one thread.
 *
 * Everything here is synchronous, as whatever reads a corpus is: threads wait on shared memory, and messages are fetched.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { encodeWhole, type Encoder, type Tokenizer } from '../tokenizer/tokenizer.ts';

/** In UTF-16 units. A thread takes as long to start as a few million units take to encode. */
const WORTH_A_THREAD = 4 << 20;
/** A text without a place to cut within so many units is encoded as it comes. */
const LARGEST_BLOCK = 16 << 20;
/** Blocks a thread has at a time: one in work, one to go on with. */
const JOBS = 2;
/** A thread that takes longer for a block, in milliseconds, has died: the main thread does its work. */
const LONGEST_WAIT = 60_000;

/** Places in the control words that a thread shares with the main thread. */
export const READY = 0;
export const POSTED = 1;
export const DONE = 2;

/** What a thread is started with. */
export interface EncodingWorkerData {
  /** The content of tokenizer.json. */
  readonly tokenizer: string;
  readonly control: Int32Array;
  /** Texts come in, arrays of ids go out. */
  readonly port: MessagePort;
}

/**
 * @param pieces of a text, cut anywhere
 * @param threads how many may work, this one included
 * @param from how much text has to come before others are started, in UTF-16 units
 */
export function* encodeInParallel(
  pieces: Iterable<string>,
  tokenizer: Tokenizer,
  { threads, from = WORTH_A_THREAD }: { threads: number; from?: number },
): Generator<Uint32Array> {
  const encoder = tokenizer.encoder();
  let helpers: Helper[] | undefined;
  const blocks: (() => Uint32Array)[] = []; // those that others encode, in order
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
    yield encoder.push(held);
    for (let next = rest.next(); next.done !== true; next = rest.next()) yield encoder.push(next.value);
    yield encoder.end();
  } finally {
    rest.return?.();
    helpers?.forEach((helper) => helper.stop());
  }
}

interface Helper {
  isFree(): boolean;
  /** Sends a block; what is returned waits for its ids. */
  encode(block: string): () => Uint32Array;
  stop(): void;
}

function startHelpers(tokenizer: Tokenizer, encoder: Encoder, count: number): Helper[] {
  const json = JSON.stringify(tokenizer.toJSON());
  return Array.from({ length: count }, () => startHelper(json, encoder));
}

/** @param encoder does the work of a helper that has died */
function startHelper(json: string, encoder: Encoder): Helper {
  const control = new Int32Array(new SharedArrayBuffer(12));
  const { port1: ours, port2: port } = new MessageChannel();
  const worker = new Worker(new URL('../../dist/data/encoding-worker.js', import.meta.url), {
    workerData: { tokenizer: json, control, port } satisfies EncodingWorkerData,
    transferList: [port],
  });
  worker.unref();
  worker.on('error', () => {}); // it is never ready then, or never done
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
