/** A model's form of conversations: its template, the token between two of them, and the tokens that end an answer. */
import { UserError } from '../errors.ts';
import { END_OF_TEXT, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { chatmlRenderer, chatRendererOf, type ChatRenderer } from './chat-renderer.ts';
import { CHATML, IM_END, IM_START } from './chatml.ts';
import type { Conversation } from './conversation.ts';

export interface ChatForm {
  readonly renderer: ChatRenderer;
  /** Text of a token that the template does not use. It ends each conversation and does not count in the loss. */
  readonly separator: string;
}

/** ChatML, for new models. @param own the user's special tokens */
export const chatmlForm = (own?: readonly string[]): ChatForm => ({
  renderer: chatmlRenderer(own),
  separator: END_OF_TEXT,
});

/**
 * The form of a model's conversations.
 *
 * @param name of the model, for messages
 * @throws UserError if it has no template, or no token that its template leaves unused
 */
export function chatFormOf(tokenizer: Tokenizer, name: string): ChatForm {
  const renderer = chatRendererOf(tokenizer, name);
  const { special, specialTexts, specialIds, vocabulary, unkId } = tokenizer;
  const { template } = renderer;
  const renderings = SAMPLES.flatMap((messages) =>
    [false, true].map((addGenerationPrompt) => ({ messages, addGenerationPrompt })),
  );
  const written = template.renderAll(renderings).flatMap((each) => ('text' in each ? [each.text] : []));
  const usable = specialTexts.filter((_, i) => specialIds[i] !== unkId); // ordinary text may become <unk>
  const separator = [
    END_OF_TEXT,
    ...[...special.endIds].map((id) => vocabulary[id]),
    ...Object.values(special.roles),
    ...specialTexts,
  ].find((token) => usable.includes(token) && !written.some((text) => text.includes(token)));
  if (separator === undefined)
    throw new UserError(
      'unsuitable-tokenizer',
      `${template.name} uses every special token of the vocabulary, so none is left to separate conversations`,
      { hint: 'use a template or a model with another special token' },
    );
  return { renderer, separator };
}

const SAMPLE: Conversation = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
];
/** Templates may write other tokens around a system message and later turns. */
const SAMPLES: readonly Conversation[] = [SAMPLE, [{ role: 'system', content: 'c' }, ...SAMPLE, ...SAMPLE]];

/** The text of a short conversation; undefined if the template refuses it. */
function sampleOf(renderer: ChatRenderer) {
  const texts = renderer.texts(SAMPLE);
  return 'problem' in texts ? undefined : texts[0];
}

/** Turns a new vocabulary with ChatML's tokens into the tokenizer of a chat model: the end of a turn ends generation. */
export const withChatml = (tokenizer: Tokenizer): Tokenizer => {
  const { special, specialTexts, specialIds } = tokenizer;
  return {
    ...tokenizer,
    chatTemplate: CHATML,
    special: {
      ...special,
      roles: { ...special.roles, eos_token: IM_END },
      extra: [...special.extra, IM_START],
      endIds: new Set([specialIds[specialTexts.indexOf(IM_END)], ...special.endIds]),
    },
  };
};

/** A model's tokenizer with its chat template; the token that ends an answer there also ends generation. */
export function withForm(tokenizer: Tokenizer, { renderer }: ChatForm): Tokenizer {
  const { special, specialTexts, specialIds } = tokenizer;
  const sample = sampleOf(renderer);
  const end = sample?.answers.at(-1)?.[1] ?? 0;
  // If one token is a suffix of another, the longer one is matched in a text.
  const [ending] = specialTexts
    .map((token, i) => ({ token, id: specialIds[i] }))
    .filter(({ token }) => end > 0 && sample!.text.slice(0, end).endsWith(token))
    .sort((a, b) => b.token.length - a.token.length);
  const endIds = new Set([...(ending === undefined ? [] : [ending.id]), ...special.endIds]);
  return { ...tokenizer, chatTemplate: renderer.template.source, special: { ...special, endIds } };
}
