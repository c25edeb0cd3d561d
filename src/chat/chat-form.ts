/** How conversations become tokens of a model: its template, the token between two of them, the tokens that end an answer. */
import { END_OF_TEXT, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { chatmlRenderer, chatRendererOf, type ChatRenderer } from './chat-renderer.ts';
import { CHATML, IM_END, IM_START } from './chatml.ts';
import type { Conversation } from './conversation.ts';

export interface ChatForm {
  readonly renderer: ChatRenderer;
  /** Text of a token that the template does not use. It ends each conversation of a text, and does not count in the loss. */
  readonly separator: string;
}

/** ChatML, for new models. @param own special tokens besides those of every such model */
export const chatmlForm = (own?: readonly string[]): ChatForm => ({
  renderer: chatmlRenderer(own),
  separator: END_OF_TEXT,
});

/**
 * The form of a model's conversations.
 *
 * @param name of the model, for messages
 * @throws UserError if it has no template
 */
export function chatFormOf(tokenizer: Tokenizer, name: string): ChatForm {
  const renderer = chatRendererOf(tokenizer, name);
  const { special, specialTexts, vocabulary } = tokenizer;
  const [sample] = renderer.template.renderAll([{ messages: SAMPLE, addGenerationPrompt: true }]);
  const used = 'text' in sample ? sample.text : '';
  const candidates = [
    END_OF_TEXT,
    ...[...special.endIds].map((id) => vocabulary[id]),
    ...Object.values(special.roles),
    ...specialTexts,
  ].filter((token) => specialTexts.includes(token));
  return {
    renderer,
    separator: candidates.find((token) => !used.includes(token)) ?? candidates[0] ?? END_OF_TEXT,
  };
}

const SAMPLE: Conversation = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
];

/** The text of a short conversation; undefined if the template refuses it. */
function sampleOf(renderer: ChatRenderer) {
  const texts = renderer.texts(SAMPLE);
  return 'problem' in texts ? undefined : texts[0];
}

/** A new vocabulary that has ChatML's tokens, as the tokenizer of a model that chats: an answer ends where a turn does. */
export const withChatml = (tokenizer: Tokenizer): Tokenizer => {
  const { special, vocabulary } = tokenizer;
  return {
    ...tokenizer,
    chatTemplate: CHATML,
    special: {
      ...special,
      roles: { ...special.roles, eos_token: IM_END },
      extra: [...special.extra, IM_START],
      endIds: new Set([vocabulary.indexOf(IM_END), ...special.endIds]),
    },
  };
};

/** A model's tokenizer with the template of its conversations; what ends an answer in it ends what the model generates. */
export function withForm(tokenizer: Tokenizer, { renderer }: ChatForm): Tokenizer {
  const { special, specialTexts, vocabulary } = tokenizer;
  const sample = sampleOf(renderer);
  const end = sample?.answers.at(-1)?.[1] ?? 0;
  const ending = specialTexts.find((token) => end > 0 && sample!.text.slice(0, end).endsWith(token));
  const endIds = new Set([...(ending === undefined ? [] : [vocabulary.indexOf(ending)]), ...special.endIds]);
  return { ...tokenizer, chatTemplate: renderer.template.source, special: { ...special, endIds } };
}
