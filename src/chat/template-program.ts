/**
 * Parses and renders chat templates (Jinja) as transformers does. Memory is unbounded, and so is the time for parsing;
 * rendering can be ended by its `onStep` callback. Untrusted templates therefore run in a worker (chat-template.ts).
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import type { Conversation } from './conversation.ts';
import { strftime } from './strftime.ts';
import { unusedCharacters } from './unused-characters.ts';
import { replaceStripCalls, stripGlobals } from './strip-calls.ts';

/** The inputs of a rendering. */
export interface Rendering {
  readonly messages: Conversation;
  /** End with the header of the assistant's answer. */
  readonly addGenerationPrompt: boolean;
}

export interface Rendered {
  readonly text: string;
  /**
   * Start and end of each stretch between `{% generation %}` and `{% endgeneration %}`, with which templates mark the
   * assistant's text; in UTF-16 units.
   */
  readonly generated: readonly (readonly [start: number, end: number])[];
}

/** The result of a rendering that has failed. */
export interface Failure {
  readonly problem: string;
}

export interface TemplateSettings {
  /** Special tokens by role (`bos_token`, …): variables of the template. */
  readonly tokens: Readonly<Record<string, string>>;
  /** For `strftime_now`, in milliseconds since 1970; default: now. */
  readonly time?: number | undefined;
}

export interface TemplateProgram {
  /** The template has `{% generation %}`. */
  readonly marksGeneration: boolean;
  readonly render: (rendering: Rendering) => Rendered | Failure;
}

const GENERATION_TAG = /\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/gu;
/** transformers turns these tags into a call with a body, too. */
const PRELUDE =
  '{%- macro generation_block() -%}{{ generation_start }}{{ caller() }}{{ generation_end }}{%- endmacro %}\n';

/** Limit on a rendering's length in UTF-16 units, and additional units allowed per unit of the messages. */
const [MOST_TEXT, MOST_TEXT_PER_UNIT] = [1e6, 64];

/** What `onStep` throws to end a rendering; it is passed on to the caller of `render`. */
export class RenderingEnded extends Error {}

/** An interpreter that calls a function before it evaluates a statement or an expression. */
class SteppingInterpreter extends Interpreter {
  readonly #onStep: () => void;

  constructor(environment: Environment, onStep: () => void) {
    super(environment);
    this.#onStep = onStep;
  }

  evaluate(statement: unknown, environment: unknown): unknown {
    this.#onStep();
    return super.evaluate(statement, environment) as unknown;
  }
}

/** @throws Error that says what is wrong with the template */
export function templateProgram(
  source: string,
  { tokens, time }: TemplateSettings,
  onStep?: () => void,
): TemplateProgram {
  const marked = source.replace(GENERATION_TAG, (_, left: string, end: string | undefined, right: string) =>
    end === undefined ? `{%${left} call generation_block() ${right}%}` : `{%${left} endcall ${right}%}`,
  );
  const marksGeneration = marked !== source;
  const program = parse(
    tokenize(marksGeneration ? PRELUDE + marked : source, { lstrip_blocks: true, trim_blocks: true }),
  );
  replaceStripCalls(program);
  return {
    marksGeneration,
    render({ messages, addGenerationPrompt }) {
      const [generation_start, generation_end] = marksGeneration
        ? unusedCharacters([source, ...Object.values(tokens), ...messages.map(({ content }) => content)], 2)
        : ['', ''];
      if (generation_end === undefined)
        return { problem: 'the conversation has all characters that could mark what the assistant writes' };
      const environment = new Environment();
      const variables = {
        ...GLOBALS,
        ...stripGlobals,
        strftime_now: (format: string) => strftime(new Date(time ?? Date.now()), format),
        ...tokens,
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: addGenerationPrompt,
        tools: null,
        documents: null,
        generation_start,
        generation_end,
      };
      try {
        for (const [name, value] of Object.entries(variables)) environment.set(name, value);
        const interpreter =
          onStep === undefined ? new Interpreter(environment) : new SteppingInterpreter(environment, onStep);
        const text = String(interpreter.run(program).value);
        const given = messages.reduce((sum, { content }) => sum + content.length, 0);
        const most = MOST_TEXT + MOST_TEXT_PER_UNIT * given;
        if (text.length > most)
          return { problem: `it makes ${text.length} characters of ${given}, more than a template should` };
        return marksGeneration
          ? withoutMarks(text, generation_start, generation_end)
          : { text, generated: [] };
      } catch (error) {
        if (error instanceof RenderingEnded) throw error;
        return { problem: `${error instanceof Raised ? '' : 'it fails: '}${whyOf(error)}` };
      }
    },
  };
}

/** Thrown by `raise_exception`. */
class Raised extends Error {}

const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range: (start: number, stop?: number, step = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    if (step === 0) throw new Error('range() has a step of 0');
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
  },
  raise_exception: (message: unknown) => {
    throw new Raised(String(message));
  },
};

/** In UTF-16 units. */
const LONGEST_REASON = 200;

/** The reason of an error of the interpreter or of a template, on one line. */
export function whyOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError && message.includes('call stack')) return 'it is nested too deeply';
  const line = message.replaceAll(/\s+/gu, ' ').trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON).toWellFormed()}…` : line;
}

function withoutMarks(marked: string, start: string, end: string): Rendered {
  const generated: [number, number][] = [];
  let text = '';
  let from = 0;
  for (let at = 0; at < marked.length; at++) {
    if (marked[at] !== start && marked[at] !== end) continue;
    text += marked.slice(from, at);
    from = at + 1;
    if (marked[at] === start) generated.push([text.length, text.length]);
    else if (generated.length > 0) generated.at(-1)![1] = text.length;
  }
  return { text: text + marked.slice(from), generated };
}
