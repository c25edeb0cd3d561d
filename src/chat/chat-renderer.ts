/** Renders conversations as text, with the stretches that the assistant writes. */
import { UserError } from '../errors.ts';
import { optionName, optionValues } from '../messages.ts';
import { tokenMatches, tokenPattern } from '../tokenizer/added-token-splitter.ts';
import { END_OF_TEXT, UNK, unmarked, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { ChatTemplate, templateError, type Failure, type Rendered, type Rendering } from './chat-template.ts';
import { CHATML, CHATML_TOKENS } from './chatml.ts';
import type { Conversation } from './conversation.ts';
import { SaidTokens, withMarks } from './said-tokens.ts';
import { unusedCharacters } from './unused-characters.ts';

export interface ChatText {
  /** Contains `mark` before anything in a message that reads like a special token. */
  readonly text: string;
  readonly mark: string | undefined;
  /** Stretches that the assistant writes, each with the token that ends its turn. In UTF-16 units. */
  readonly answers: readonly Stretch[];
}

type Stretch = readonly [start: number, end: number];

/** The text without marks, for display. */
export const withoutMark = ({ text, mark }: Pick<ChatText, 'text' | 'mark'>): string => unmarked(text, mark);

export class ChatRenderer {
  readonly template: ChatTemplate;
  /** Finds special tokens; undefined if there are none. */
  readonly #special: RegExp | undefined;
  readonly #said: SaidTokens;

  /** @param specialTexts the special tokens of the vocabulary */
  constructor(template: ChatTemplate, specialTexts: readonly string[]) {
    this.template = template;
    this.#special = specialTexts.length === 0 ? undefined : tokenPattern(specialTexts);
    this.#said = new SaidTokens(specialTexts);
  }

  /** A conversation up to where the assistant begins to write. @throws UserError if the template refuses it */
  prompt(conversation: Conversation): ChatText {
    const found = this.#render(conversation, (messages) => [{ messages, addGenerationPrompt: true }]);
    if ('problem' in found) throw templateError(this.template.name, found.problem);
    const { rendered, mark } = found;
    return { text: rendered[0].text, mark, answers: [] };
  }

  /** A single message, marked as in a conversation. */
  said(content: string): Pick<ChatText, 'text' | 'mark'> {
    const places = this.#said.places(content);
    const [mark] = places.length === 0 ? [] : unusedCharacters([content], 1);
    return { text: mark === undefined ? content : withMarks(content, places, mark), mark };
  }

  /**
   * Renders a conversation as one text if the text up to each answer is a prefix of the whole. Some templates change
   * earlier messages as a conversation continues, for example by dropping the reasoning of earlier answers: then each answer
   * gets a text of its own that ends with it, as the model will see it.
   */
  texts(conversation: Conversation): readonly ChatText[] | Failure {
    const found = this.#render(conversation, (messages) => this.#renderings(messages));
    if ('problem' in found) return found;
    const { rendered, mark } = found;
    const texts = this.template.marksGeneration
      ? [{ text: rendered[0].text, answers: rendered[0].generated }]
      : compared(rendered);
    if ('problem' in texts) return texts;
    return texts.map(({ text, answers }) => ({
      text,
      mark,
      answers: answers.map(([start, end]): Stretch => [start, this.#endOfTurn(text, [start, end], mark)]),
    }));
  }

  /** The whole text and, unless the template marks the assistant's text itself, the texts before and after each answer. */
  #renderings(messages: Conversation): Rendering[] {
    const answered = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
    const whole = { messages, addGenerationPrompt: false };
    if (this.template.marksGeneration) return [whole];
    return [
      whole,
      ...answered.flatMap((i): Rendering[] => [
        { messages: messages.slice(0, i), addGenerationPrompt: true },
        { messages: messages.slice(0, i + 1), addGenerationPrompt: false },
      ]),
    ];
  }

  /** End of an answer: after its last special token, if only white space follows it. */
  #endOfTurn(text: string, [start, end]: Stretch, mark: string | undefined): number {
    if (this.#special === undefined) return end;
    let last = end;
    for (const { 0: token, index } of tokenMatches(this.#special, text.slice(start, end), mark))
      last = start + index + token.length;
    return text.slice(last, end).trim() === '' ? last : end;
  }

  /**
   * Renders messages with marks at text that reads like a special token.
   *
   * @param renderings of the messages, with or without marks
   */
  #render(
    messages: Conversation,
    renderings: (messages: Conversation) => readonly Rendering[],
  ): Marked | Failure {
    const places = messages.map(({ content }) => this.#said.places(content));
    const plain = this.#renderAll(renderings(messages));
    if ('problem' in plain || places.every(({ length }) => length === 0))
      return 'problem' in plain ? plain : { rendered: plain, mark: undefined };
    const [mark] = unusedCharacters(
      [this.template.source, ...messages.map(({ content }) => content), ...plain.map(({ text }) => text)],
      1,
    );
    if (mark === undefined)
      return { problem: 'the conversation has all characters that could mark the special tokens in it' };
    const withMark = messages.map(({ role, content }, i) => ({
      role,
      content: withMarks(content, places[i], mark),
    }));
    const rendered = this.#renderAll(renderings(withMark));
    if ('problem' in rendered) return rendered;
    if (rendered.every(({ text }, i) => unmarked(text, mark) === plain[i].text)) return { rendered, mark };
    return {
      problem:
        'it treats the text of special tokens in a message in its own way, so they cannot be told from its own tokens',
    };
  }

  #renderAll(renderings: readonly Rendering[]): readonly Rendered[] | Failure {
    const rendered = this.template.renderAll(renderings);
    return rendered.find((each) => 'problem' in each) ?? (rendered as Rendered[]);
  }
}

interface Marked {
  readonly rendered: readonly Rendered[];
  readonly mark: string | undefined;
}

/** Locates answers as what follows their prompts. @param rendered the whole text, then those before and after each answer */
function compared([{ text }, ...rest]: readonly Rendered[]): Unmarked[] | Failure {
  const pairs = Array.from({ length: rest.length / 2 }, (_, i) => ({
    prompt: rest[2 * i].text,
    answered: rest[2 * i + 1].text,
  }));
  if (!pairs.every(({ prompt, answered }) => answered.startsWith(prompt)))
    return {
      problem:
        'its generation prompt is not how a rendered answer begins, so the tokens of the answer cannot be located',
    };
  if (pairs.every(({ answered }) => text.startsWith(answered)))
    return [
      { text, answers: pairs.map(({ prompt, answered }): Stretch => [prompt.length, answered.length]) },
    ];
  return pairs.map(({ prompt, answered }) => ({
    text: answered,
    answers: [[prompt.length, answered.length]],
  }));
}

type Unmarked = Pick<ChatText, 'text' | 'answers'>;

/**
 * The date that templates get as today's when rendering training data, which makes runs reproducible. It is the default of
 * Llama 3's template.
 */
const DATE = new Date(2024, 6, 26, 12).getTime();

/** Renderer for new models. @param own the user's special tokens */
export const chatmlRenderer = (own: readonly string[] = []): ChatRenderer =>
  new ChatRenderer(new ChatTemplate(CHATML, { name: 'ChatML', tokens: {} }), [
    ...own,
    ...CHATML_TOKENS,
    END_OF_TEXT,
    UNK,
  ]);

/** True for a model with a template of its own, or with ChatML's tokens in its vocabulary. */
export const isChatModel = ({ chatTemplate, specialTexts }: Tokenizer): boolean =>
  chatTemplate !== undefined || CHATML_TOKENS.every((token) => specialTexts.includes(token));

/**
 * Renderer for an existing model: with its own template, or ChatML if its vocabulary has the tokens.
 *
 * @param name of the model, for messages
 * @param isToday `strftime_now` uses the current time, not a fixed date
 * @throws UserError if it has neither
 */
export function chatRendererOf(tokenizer: Tokenizer, name: string, { isToday = false } = {}): ChatRenderer {
  const { chatTemplate, special, specialTexts } = tokenizer;
  if (!isChatModel(tokenizer))
    throw new UserError('unsuitable-tokenizer', `${name} has no chat template ("chat_template")`, {
      hint: `train a new model on the conversations, give this one ChatML with ${optionName('growVocab')}, or read the text in another way, such as ${optionValues({ documents: 'lines' })}`,
    });
  const template = new ChatTemplate(chatTemplate ?? CHATML, {
    name: `the chat template of ${name}`,
    tokens: special.roles,
    time: isToday ? undefined : DATE,
  });
  return new ChatRenderer(template, specialTexts);
}
