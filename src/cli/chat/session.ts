/** The state of a chat, and its answers. */
import type { Conversation, Message } from '../../chat/conversation.ts';
import { turnStarts } from '../../chat/turns.ts';
import { formatCountOf, formatNumber } from '../../format.ts';
import type { LineInput } from '../interactive/line-input.ts';
import type { SettingsSession } from '../interactive/slash-commands.ts';
import { showWrapped } from '../interactive/wrapped-output.ts';
import { shownJson } from '../../json.ts';
import { inSession } from '../interrupt.ts';
import { printJson } from '../json-output.ts';
import type { Show } from '../show.ts';
import { notice, print, printable, stderrColors } from '../terminal.ts';
import { answerTo, type Answer, type ChatModel } from './answer.ts';

export interface ChatState {
  readonly messages: Conversation;
  /** Number of turns at the start that no longer fit the context. */
  readonly dropped: number;
}

/** State that commands change. */
export interface ChatSession extends SettingsSession {
  readonly model: ChatModel;
  readonly input: LineInput;
  /** Print JSON lines. */
  readonly json: boolean;
  state: ChatState;
  /** Earlier states, for /undo. */
  readonly history: ChatState[];
  /** Files saved in this session, which may be overwritten. */
  readonly saved: Set<string>;
}

/** Replaces the system message of a conversation, or removes it if `system` is empty. */
export function withSystem(messages: Conversation, system: string | undefined): Conversation {
  const others = messages.filter(({ role }) => role !== 'system');
  return system === undefined || system === '' ? others : [{ role: 'system', content: system }, ...others];
}

/** A change that /undo reverts as a whole. */
export function change(session: ChatSession, messages: Conversation, dropped = 0): void {
  session.history.push(session.state);
  session.state = { messages, dropped };
}

/** Generates the answer to a conversation, which then becomes the session's. */
export async function answer(session: ChatSession, asked: Conversation): Promise<void> {
  const { model, settings, json, input, state } = session;
  const show: Show = json ? () => Promise.resolve() : showWrapped();
  await inSession(input.live, async (interrupted) => {
    const given = await answerTo(asked, model, {
      settings,
      sample: session.sample++,
      dropped: Math.min(state.dropped, turnStarts(asked).length - 1),
      interrupted,
      show,
    });
    // An answer interrupted before its first character is discarded.
    const isEmpty = given.finishReason === 'interrupted' && given.text === '';
    if (!isEmpty) change(session, [...asked, { role: 'assistant', content: given.text }], given.dropped);
    if (json) await printJson(toJson(asked, given, settings.seed));
    else if (!isEmpty) await print('\n');
    else notice(stderrColors.dim('Stopped before the answer began; the conversation is unchanged.'));
    if (given.unknown.length > 0) noticeOfUnknown(given.unknown);
    if (given.dropped > state.dropped || given.isCutOff) noticeOfContext(given, model);
  });
}

function noticeOfUnknown(unknown: readonly string[]): void {
  const texts = unknown.map((text) => shownJson(text)).join(', ');
  notice(stderrColors.dim(printable(`Not in the vocabulary of the model: ${texts}.`)));
}

function noticeOfContext({ dropped, isCutOff }: Answer, { blockSize }: ChatModel): void {
  const full = `The context of ${formatNumber(blockSize)} tokens is full`;
  notice(
    stderrColors.dim(
      isCutOff
        ? `${full}: the answer ends here.`
        : `${full}: the model no longer sees the first ${dropped === 1 ? 'turn' : formatCountOf(dropped, 'turn')}.`,
    ),
  );
}

const toJson = (asked: Conversation, given: Answer, seed: number) => ({
  turn: turnStarts(asked).length,
  user: (asked.at(-1) as Message).content,
  assistant: given.text,
  finish_reason: given.finishReason,
  prompt_tokens: given.promptTokens,
  prefilled_tokens: given.prefilledTokens,
  completion_tokens: given.completionTokens,
  dropped_turns: given.dropped,
  unknown: given.unknown,
  seed,
});
