/**
 * Chat templates: how a model's messages become text. They are Jinja, untrusted code that is shipped with a model. So they run
 * in a worker thread of limited memory, which is ended if it takes too long; nothing of the process is within a template's reach.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { CHATML } from './chatml.ts';
import type { Conversation } from './conversation.ts';
import {
  templateProgram,
  type Failure,
  type Rendered,
  type Rendering,
  type TemplateProgram,
  type TemplateSettings,
} from './template-program.ts';

export type { Failure, Rendered, Rendering } from './template-program.ts';

/** Words shared with the worker: number of the last job posted, and of the last one done. The first job is parsing. */
export const [POSTED, DONE] = [0, 1];

export interface TemplateWorkerData {
  readonly source: string;
  readonly settings: TemplateSettings;
  readonly control: Int32Array;
  readonly port: MessagePort;
}

export interface ChatTemplateOptions extends TemplateSettings {
  /** What the template is called in messages, such as its file. */
  readonly name: string;
  /** Seconds that parsing or a batch of renderings may take. */
  readonly timeout?: number | undefined;
}

/** In UTF-16 units. Templates with tools have about 10,000. */
const LONGEST = 1e6;
const TIMEOUT = 10;
const MEGABYTES = 256;
/** Renderings, and UTF-16 units of their messages, that the worker gets at a time. */
const [BATCH, BATCH_UNITS] = [256, 1e6];

export class ChatTemplate {
  readonly source: string;
  readonly name: string;
  /** Whether the template marks the text of the assistant itself. */
  readonly marksGeneration: boolean;
  readonly #renderer: Renderer;

  /** @throws UserError for a template that is broken, or too slow or large to parse */
  constructor(source: string, options: ChatTemplateOptions) {
    this.source = source;
    this.name = options.name;
    if (source.length > LONGEST)
      throw templateError(options.name, `it has ${source.length} characters, more than ${LONGEST}`);
    this.#renderer = source === CHATML ? inProcess(source, options) : new TemplateWorker(source, options);
    this.marksGeneration = this.#renderer.marksGeneration;
  }

  /**
   * The text of a conversation.
   *
   * @param addGenerationPrompt end with what precedes the assistant's answer
   * @throws UserError if the template refuses the conversation or fails
   */
  render(messages: Conversation, { addGenerationPrompt = false } = {}): string {
    const [rendered] = this.renderAll([{ messages, addGenerationPrompt }]);
    if ('problem' in rendered) throw templateError(this.name, rendered.problem);
    return rendered.text;
  }

  /**
   * Renders many at once, which saves round trips.
   *
   * @throws UserError if it takes too long or too much memory
   */
  renderAll(renderings: readonly Rendering[]): (Rendered | Failure)[] {
    const results: (Rendered | Failure)[] = [];
    let batch: Rendering[] = [];
    let units = 0;
    const flush = (): void => {
      if (batch.length > 0) for (const result of this.#renderer.render(batch)) results.push(result);
      batch = [];
      units = 0;
    };
    for (const rendering of renderings) {
      batch.push(rendering);
      units += rendering.messages.reduce((sum, { content }) => sum + content.length, 0);
      if (batch.length >= BATCH || units >= BATCH_UNITS) flush();
    }
    flush();
    return results;
  }
}

export function templateError(name: string, problem: string): UserError {
  return new UserError('bad-template', `${name}: ${problem}`, {
    hint: 'correct the template or the conversation, or use a model with another template',
  });
}

interface Renderer {
  readonly marksGeneration: boolean;
  render(renderings: readonly Rendering[]): (Rendered | Failure)[];
}

/** For templates of this project. */
function inProcess(source: string, settings: TemplateSettings): Renderer {
  const { marksGeneration, render }: TemplateProgram = templateProgram(source, settings);
  return { marksGeneration, render: (renderings) => renderings.map(render) };
}

/** A worker that has been ended is replaced at the next call. */
class TemplateWorker implements Renderer {
  readonly marksGeneration: boolean;
  readonly #source: string;
  readonly #options: ChatTemplateOptions;
  #thread: TemplateThread | undefined;

  constructor(source: string, options: ChatTemplateOptions) {
    this.#source = source;
    this.#options = options;
    this.#thread = startThread(source, options);
    const parsed = this.#wait(1) as { readonly marksGeneration: boolean } | Failure;
    if ('problem' in parsed) {
      this.#end();
      throw templateError(options.name, `it is not a Jinja template: ${parsed.problem}`);
    }
    this.marksGeneration = parsed.marksGeneration;
  }

  render(renderings: readonly Rendering[]): (Rendered | Failure)[] {
    if (this.#thread === undefined) {
      this.#thread = startThread(this.#source, this.#options);
      this.#wait(1);
    }
    const { control, port } = this.#thread;
    const job = Atomics.load(control, DONE) + 1;
    port.postMessage(renderings);
    Atomics.store(control, POSTED, job);
    Atomics.notify(control, POSTED);
    return this.#wait(job) as (Rendered | Failure)[];
  }

  /** The reply of a job. */
  #wait(job: number): unknown {
    const { control, port } = this.#thread!;
    const { name, timeout = TIMEOUT } = this.#options;
    Atomics.wait(control, DONE, job - 1, 1000 * timeout);
    if (Atomics.load(control, DONE) === job)
      return (receiveMessageOnPort(port) as { message: unknown }).message;
    this.#end();
    throw templateError(
      name,
      `the template takes more than ${timeout} s, or more than ${MEGABYTES} MB of memory`,
    );
  }

  #end(): void {
    this.#thread?.port.close();
    void this.#thread?.worker.terminate();
    this.#thread = undefined;
  }
}

interface TemplateThread {
  readonly worker: Worker;
  readonly control: Int32Array;
  readonly port: MessagePort;
}

function startThread(source: string, { tokens, time }: TemplateSettings): TemplateThread {
  const control = new Int32Array(new SharedArrayBuffer(8));
  Atomics.store(control, POSTED, 1);
  const { port1: port, port2 } = new MessageChannel();
  const worker = startWorker({ source, settings: { tokens, time }, control, port: port2 });
  worker.unref();
  port.unref();
  worker.on('error', () => {}); // the job never becomes done
  return { worker, control, port };
}

function startWorker(workerData: TemplateWorkerData): Worker {
  try {
    return new Worker(new URL('../../dist/chat/template-worker.js', import.meta.url), {
      workerData,
      transferList: [workerData.port],
      resourceLimits: { maxOldGenerationSizeMb: MEGABYTES, maxYoungGenerationSizeMb: 32 },
      env: {},
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
