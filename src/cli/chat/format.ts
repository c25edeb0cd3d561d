/** How conversations are formatted for a model: by its own chat template, or by a given one. */
import { ChatEncoder } from '../../chat/chat-encoder.ts';
import { ChatRenderer, chatRendererOf, isChatModel, type ChatText } from '../../chat/chat-renderer.ts';
import { ChatTemplate } from '../../chat/chat-template.ts';
import { CHATML } from '../../chat/chatml.ts';
import type { ModelFolder } from '../../checkpoint/model-folder.ts';
import { UserError } from '../../errors.ts';
import type { Unk } from '../../generate/prompt.ts';
import { shownJson } from '../../json.ts';
import { optionName, trainCall } from '../../messages.ts';
import { readTextFile } from '../../read-file.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { ChatFormat } from './answer.ts';

/** Size limit of a template file, in bytes. */
const LARGEST_TEMPLATE = 1e6;

/** @throws UserError if the model has no template, and none is given */
export function chatFormat(
  { tokenizer, folder }: ModelFolder,
  { unk, chatTemplate }: { readonly unk: Unk; readonly chatTemplate?: string },
): ChatFormat {
  const renderer =
    chatTemplate === undefined ? ownRenderer(tokenizer, folder) : givenRenderer(tokenizer, chatTemplate);
  const encoder = new ChatEncoder(tokenizer);
  const { unkId } = tokenizer;
  return {
    encode(messages) {
      const ids = encoder.ids(renderer.prompt(messages), () => {});
      return unk === 'skip' ? ids.filter((id) => id !== unkId) : ids;
    },
    unknownIn(message) {
      const unknown = unknownIn(encoder, renderer.said(message));
      if (unknown.length > 0 && unk === 'error')
        throw new UserError('not-in-vocabulary', `the model's vocabulary lacks ${shownJson(unknown[0])}`, {
          hint: `omit it, or start with ${optionName('unk')} skip or replace`,
        });
      return unknown;
    },
    ...endOfTurn(tokenizer, renderer),
  };
}

function ownRenderer(tokenizer: Tokenizer, folder: string): ChatRenderer {
  if (!isChatModel(tokenizer))
    throw new UserError(
      'unsuitable-tokenizer',
      `${folder} has no chat_template: it continues text and does not answer`,
      {
        hint: `train a new model on conversations, ${trainCall(['dialogues.jsonl'], {})}, or co-write with gpt sample -i; ${optionName('chatTemplate')} chatml or a file supplies a template`,
      },
    );
  return chatRendererOf(tokenizer, folder, { isToday: true });
}

function givenRenderer({ special, specialTexts }: Tokenizer, given: string): ChatRenderer {
  const source = given === 'chatml' ? CHATML : readTextFile(given, LARGEST_TEMPLATE);
  return new ChatRenderer(new ChatTemplate(source, { name: given, tokens: special.roles }), specialTexts);
}

/** The parts of a message that are not in the vocabulary, each once. */
function unknownIn(encoder: ChatEncoder, message: Pick<ChatText, 'text' | 'mark'>): string[] {
  const unknown = new Set<string>();
  encoder.ids(message, ({ text }) => unknown.add(text.trim()));
  return [...unknown];
}

/** Rendered to find out what the template writes after an answer. */
const ANSWER = 'An answer';
const EXAMPLE = [
  { role: 'user', content: 'A question' },
  { role: 'assistant', content: ANSWER },
] as const;

/** The model's end tokens, and what its template writes after an answer: as an end token if it is one, else as a stop string. */
function endOfTurn(
  { special, specialTexts, vocabulary }: Tokenizer,
  renderer: ChatRenderer,
): Pick<ChatFormat, 'endIds' | 'stopStrings'> {
  const endIds = new Set(special.endIds);
  const texts = renderer.texts(EXAMPLE);
  const answer = 'problem' in texts ? undefined : texts.at(-1);
  const range = answer?.answers.at(-1);
  if (answer === undefined || range === undefined) return { endIds, stopStrings: [] };
  const { text } = answer;
  const after = text.slice(text.lastIndexOf(ANSWER) + ANSWER.length, range[1]).trim();
  const token = specialTexts.find((each) => each !== '' && after.startsWith(each));
  if (token !== undefined) endIds.add(vocabulary.indexOf(token));
  return { endIds, stopStrings: token === undefined && after !== '' ? [after] : [] };
}
