/**
 * Worker threads that run chat templates. A thread is started on demand, and ended when it has been idle for a while, when
 * too many others run, or when its template takes too much time or memory; so a program can open any number of models.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { workerEnvironment, workerFlags } from '../worker-flags.ts';
import type { Failure, Rendered, Rendering, TemplateSettings } from './template-program.ts';

/**
 * Words shared with the worker: the number of the last job posted and of the last one done, parsing being the first job,
 * and a heartbeat that changes while the worker renders.
 */
export const [POSTED, DONE, BEAT] = [0, 1, 2];

export interface TemplateTask {
  readonly source: string;
  readonly settings: TemplateSettings;
  /** Seconds of CPU time (before Node 23.9: wall time) that a batch of renderings may take. */
  readonly seconds: number;
}

export interface TemplateWorkerData extends TemplateTask {
  readonly control: Int32Array;
  readonly port: MessagePort;
}

type Parsed = { readonly marksGeneration: boolean } | Failure;
type Results = (Rendered | Failure)[];
/** Undefined if a batch took too long. */
export type TemplateReply = Parsed | Results | undefined;

export const MEGABYTES = 256;
/** A thread without a heartbeat for this long is presumed to have run out of memory, which it cannot report. */
const SILENT_SECONDS = 10;
const IDLE_SECONDS = 30;
const MOST_THREADS = 4;

/** Running threads, the most recently used last. */
const running = new Set<TemplateThread>();

export class TemplateThread {
  readonly #task: TemplateTask;
  #running: RunningWorker | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(task: TemplateTask) {
    this.#task = task;
  }

  /** @returns undefined if that takes too long, or too much memory */
  parse(): Parsed | undefined {
    this.#running = startWorker(this.#task);
    const parsed = this.#wait(1, SILENT_SECONDS) as Parsed | undefined;
    if (parsed === undefined || 'problem' in parsed) this.#end();
    else this.#used();
    return parsed;
  }

  /** @returns undefined if that takes too long, or too much memory */
  render(renderings: readonly Rendering[]): Results | undefined {
    if (this.#running === undefined && this.parse() === undefined) return undefined;
    const { control, port } = this.#running!;
    const job = Atomics.load(control, DONE) + 1;
    port.postMessage(renderings);
    Atomics.store(control, POSTED, job);
    Atomics.notify(control, POSTED);
    const results = this.#wait(job, Math.min(SILENT_SECONDS, this.#task.seconds)) as Results | undefined;
    if (results === undefined) this.#end();
    else this.#used();
    return results;
  }

  /**
   * Waits for the reply to a job. The worker measures its own CPU time; wall time also passes while the computer is busy or
   * suspended, so this thread gives up only after two waits without a heartbeat.
   */
  #wait(job: number, silent: number): TemplateReply {
    const { control, port } = this.#running!;
    let beat = Atomics.load(control, BEAT);
    for (let waits = 0; waits < 2; waits++) {
      Atomics.wait(control, DONE, job - 1, (1000 * silent) / 2);
      if (Atomics.load(control, DONE) === job)
        return (receiveMessageOnPort(port) as { message: TemplateReply }).message;
      const last = beat;
      beat = Atomics.load(control, BEAT);
      if (beat !== last) waits = -1;
    }
    return undefined;
  }

  #used(): void {
    running.delete(this);
    running.add(this);
    const [oldest] = running;
    if (running.size > MOST_THREADS) oldest.#end();
    this.#idle ??= setTimeout(() => this.#end(), 1000 * IDLE_SECONDS).unref();
    this.#idle.refresh();
  }

  #end(): void {
    running.delete(this);
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#running?.port.close();
    void this.#running?.worker.terminate();
    this.#running = undefined;
  }
}

interface RunningWorker {
  readonly worker: Worker;
  readonly control: Int32Array;
  readonly port: MessagePort;
}

function startWorker(task: TemplateTask): RunningWorker {
  const control = new Int32Array(new SharedArrayBuffer(12));
  Atomics.store(control, POSTED, 1);
  const { port1: port, port2 } = new MessageChannel();
  const worker = newWorker({ ...task, control, port: port2 });
  worker.unref();
  port.unref();
  worker.on('error', () => {}); // the job is then never marked as done
  return { worker, control, port };
}

function newWorker(workerData: TemplateWorkerData): Worker {
  try {
    return new Worker(new URL('../../dist/chat/template-worker.js', import.meta.url), {
      workerData,
      transferList: [workerData.port],
      resourceLimits: { maxOldGenerationSizeMb: MEGABYTES, maxYoungGenerationSizeMb: 32 },
      env: workerEnvironment(),
      execArgv: workerFlags(),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_ACCESS_DENIED') throw error;
    throw new UserError(
      'bad-template',
      "the chat template of a model folder runs in a worker thread, which Node's permission model denies",
      {
        hint: 'allow worker threads',
      },
    );
  }
}
