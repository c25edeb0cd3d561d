/**
 * Chat templates, which render a model's messages as text. They are Jinja, untrusted code that ships with a model, so they
 * run in a worker thread with limited memory, which is terminated if it takes too long; a template cannot reach anything
 * else in the process.
 */
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
import { MEGABYTES, TemplateThread } from './template-thread.ts';

export type { Failure, Rendered, Rendering } from './template-program.ts';

export interface ChatTemplateOptions extends TemplateSettings {
  /** Name of the template in messages, such as its file. */
  readonly name: string;
  /** Seconds of CPU time (before Node 23.9: wall time) that a batch of renderings may take. */
  readonly timeout?: number | undefined;
}

/** In UTF-16 units. Templates with tools have about 10,000. */
const LONGEST = 1e6;
const TIMEOUT = 10;
/** Most renderings, and UTF-16 units of their messages, sent to the worker at a time. */
const [BATCH, BATCH_UNITS] = [256, 1e6];

export class ChatTemplate {
  readonly source: string;
  readonly name: string;
  /** The template itself marks the assistant's text. */
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
   * @param addGenerationPrompt end with the header of the assistant's answer
   * @throws UserError if the template refuses the conversation or fails
   */
  render(messages: Conversation, { addGenerationPrompt = false } = {}): string {
    const [rendered] = this.renderAll([{ messages, addGenerationPrompt }]);
    if ('problem' in rendered) throw templateError(this.name, rendered.problem);
    return rendered.text;
  }

  /**
   * Renders many conversations at once, which saves round trips to the worker.
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

/** Renders this project's own, trusted templates without a worker. */
function inProcess(source: string, settings: TemplateSettings): Renderer {
  const { marksGeneration, render }: TemplateProgram = templateProgram(source, settings);
  return { marksGeneration, render: (renderings) => renderings.map(render) };
}

class TemplateWorker implements Renderer {
  readonly marksGeneration: boolean;
  readonly #name: string;
  readonly #seconds: number;
  readonly #thread: TemplateThread;

  constructor(source: string, { name, tokens, time, timeout = TIMEOUT }: ChatTemplateOptions) {
    this.#name = name;
    this.#seconds = timeout;
    this.#thread = new TemplateThread({ source, settings: { tokens, time }, seconds: timeout });
    const parsed = this.#thread.parse() ?? this.#refuse();
    if ('problem' in parsed) throw templateError(name, `it is not a Jinja template: ${parsed.problem}`);
    this.marksGeneration = parsed.marksGeneration;
  }

  render(renderings: readonly Rendering[]): (Rendered | Failure)[] {
    return this.#thread.render(renderings) ?? this.#refuse();
  }

  #refuse(): never {
    throw templateError(
      this.#name,
      `the template takes more than ${this.#seconds} s, or more than ${MEGABYTES} MB of memory`,
    );
  }
}
