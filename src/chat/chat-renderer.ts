/** Conversations as text, with the stretches that the assistant writes. */
import { UserError } from '../errors.ts';
import { optionValues } from '../messages.ts';
import { tokenPattern } from '../tokenizer/added-token-splitter.ts';
import { END_OF_TEXT, UNK, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { ChatTemplate, type Failure, type Rendered, type Rendering } from './chat-template.ts';
import { CHATML, CHATML_TOKENS } from './chatml.ts';
import type { Conversation } from './conversation.ts';

export interface ChatText {
  /** Contains `mark` within whatever reads like a special token but was said by somebody. */
  readonly text: string;
  readonly mark: string | undefined;
  /** Stretches that the assistant writes, each with the token that ends its turn. In UTF-16 units. */
  readonly answers: readonly Stretch[];
}

type Stretch = readonly [start: number, end: number];

/** The text that people read. */
export const withoutMark = ({ text, mark }: Pick<ChatText, 'text' | 'mark'>): string =>
  mark === undefined ? text : text.replaceAll(mark, '');

export class ChatRenderer {
  readonly template: ChatTemplate;
  /** Finds special tokens; undefined if there are none. */
  readonly #special: RegExp | undefined;

  /** @param specialTexts the special tokens of the vocabulary */
  constructor(template: ChatTemplate, specialTexts: readonly string[]) {
    this.template = template;
    this.#special = specialTexts.length === 0 ? undefined : tokenPattern(specialTexts);
  }

  /** A conversation up to where the assistant begins to write. @throws UserError if the template refuses it */
  prompt(conversation: Conversation): ChatText {
    const { messages, mark } = this.#protected(conversation);
    return { text: this.template.render(messages, { addGenerationPrompt: true }), mark, answers: [] };
  }

  /**
   * A conversation as one text, if the text up to each answer is how the whole text begins. Some templates change earlier
   * messages as a conversation goes on, such as those that leave out what was thought before earlier answers: then each
   * answer has a text of its own that ends with it, as the model will see it.
   */
  texts(conversation: Conversation): readonly ChatText[] | Failure {
    const { messages, mark } = this.#protected(conversation);
    const texts = this.template.marksGeneration ? this.#marked(messages) : this.#compared(messages);
    if ('problem' in texts) return texts;
    return texts.map(({ text, answers }) => ({
      text,
      mark,
      answers: answers.map(([start, end]): Stretch => [start, this.#endOfTurn(text, start, end)]),
    }));
  }

  /** The template says what the assistant writes. */
  #marked(messages: Conversation): Unmarked[] | Failure {
    const [whole] = this.template.renderAll([{ messages, addGenerationPrompt: false }]);
    return 'problem' in whole ? whole : [{ text: whole.text, answers: whole.generated }];
  }

  /** An answer is what follows its prompt. */
  #compared(messages: Conversation): Unmarked[] | Failure {
    const answered = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
    const rendered = this.template.renderAll([
      { messages, addGenerationPrompt: false },
      ...answered.flatMap((i): Rendering[] => [
        { messages: messages.slice(0, i), addGenerationPrompt: true },
        { messages: messages.slice(0, i + 1), addGenerationPrompt: false },
      ]),
    ]);
    const failed = rendered.find((each) => 'problem' in each);
    if (failed !== undefined) return failed;
    const [{ text }, ...rest] = rendered as Rendered[];
    const pairs = answered.map((_, i) => ({ prompt: rest[2 * i].text, answered: rest[2 * i + 1].text }));
    if (!pairs.every(({ prompt, answered: full }) => full.startsWith(prompt)))
      return {
        problem:
          'its generation prompt is not how a rendered answer begins, so the tokens of the answer cannot be located',
      };
    if (pairs.every(({ answered: full }) => text.startsWith(full)))
      return [
        { text, answers: pairs.map(({ prompt, answered: full }): Stretch => [prompt.length, full.length]) },
      ];
    return pairs.map(({ prompt, answered: full }) => ({
      text: full,
      answers: [[prompt.length, full.length]],
    }));
  }

  /** Where an answer ends: after its last special token, if nothing but white space follows that. */
  #endOfTurn(text: string, start: number, end: number): number {
    let last = end;
    for (const { 0: token, index } of this.#occurrences(text.slice(start, end)))
      last = start + index + token.length;
    return text.slice(last, end).trim() === '' ? last : end;
  }

  #occurrences(text: string): Iterable<RegExpExecArray> {
    return this.#special === undefined ? [] : text.matchAll(this.#special);
  }

  /** A conversation in which nothing reads like a special token. */
  #protected(messages: Conversation): { readonly messages: Conversation; readonly mark: string | undefined } {
    const special = this.#special;
    if (special === undefined || !messages.some(({ content }) => content.search(special) >= 0))
      return { messages, mark: undefined };
    const mark = NONCHARACTERS.find((each) => !messages.some(({ content }) => content.includes(each)));
    if (mark === undefined) return { messages, mark };
    const broken = (token: string): string => {
      const [first] = token;
      return first + mark + token.slice(first.length);
    };
    return {
      messages: messages.map(({ role, content }) => ({ role, content: content.replaceAll(special, broken) })),
      mark,
    };
  }
}

type Unmarked = Pick<ChatText, 'text' | 'answers'>;

/** Code points that Unicode sets aside for use within programs. */
const NONCHARACTERS = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i));

/**
 * The date that templates of training data get for today, so that a run is the same on any day. Llama 3 names it where no
 * date is known.
 */
const DATE = new Date(2024, 6, 26, 12).getTime();

/** For new models. @param own special tokens besides those of every such model */
export const chatmlRenderer = (own: readonly string[] = []): ChatRenderer =>
  new ChatRenderer(new ChatTemplate(CHATML, { name: 'ChatML', tokens: {} }), [
    ...own,
    ...CHATML_TOKENS,
    END_OF_TEXT,
    UNK,
  ]);

/** Whether a model has a template of its own, or ChatML's tokens in its vocabulary. */
export const isChatModel = ({ chatTemplate, specialTexts }: Tokenizer): boolean =>
  chatTemplate !== undefined || CHATML_TOKENS.every((token) => specialTexts.includes(token));

/**
 * For a model: its own template, or ChatML if its vocabulary has the tokens.
 *
 * @param name of the model, for messages
 * @param isToday `strftime_now` is the time at which it is called, not a fixed date
 * @throws UserError if it has neither
 */
export function chatRendererOf(tokenizer: Tokenizer, name: string, { isToday = false } = {}): ChatRenderer {
  const { chatTemplate, special, specialTexts } = tokenizer;
  if (!isChatModel(tokenizer))
    throw new UserError('unsuitable-tokenizer', `${name} has no chat template ("chat_template")`, {
      hint: `train a new model on the conversations, fine-tune one that chats, or read the text in another way, such as ${optionValues({ documents: 'lines' })}`,
    });
  const template = new ChatTemplate(chatTemplate ?? CHATML, {
    name: `the chat template of ${name}`,
    tokens: special.roles,
    time: isToday ? undefined : DATE,
  });
  return new ChatRenderer(template, specialTexts);
}
