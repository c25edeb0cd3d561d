/**
 * Conversations in the two common formats, one JSON object each:
 *
 *     {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
 *     {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}
 *
 * The second form is ShareGPT's. Other fields are ignored, except tool calls, which are unsupported and refused.
 */
import { isJsonObject, shownJson } from '../json.ts';

export const roles = ['system', 'user', 'assistant'] as const;
export type Role = (typeof roles)[number];

export interface Message {
  readonly role: Role;
  readonly content: string;
}

export type Conversation = readonly Message[];

/** Throws; receives a message such as 'has no messages'. */
type Refuse = (what: string) => never;

/** The field names of a form. */
interface Form {
  /** Field of the messages. */
  readonly messages: string;
  readonly role: string;
  readonly content: string;
  readonly roles: Readonly<Record<string, Role>>;
}

const forms: readonly Form[] = [
  {
    messages: 'messages',
    role: 'role',
    content: 'content',
    roles: { system: 'system', user: 'user', assistant: 'assistant' },
  },
  {
    messages: 'conversations',
    role: 'from',
    content: 'value',
    roles: {
      system: 'system',
      human: 'user',
      user: 'user',
      gpt: 'assistant',
      assistant: 'assistant',
      chatgpt: 'assistant',
      bard: 'assistant',
      bing: 'assistant',
    },
  },
];

/** Roles of tool calls, which are refused by name. */
const TOOL_ROLES: readonly unknown[] = [
  'tool',
  'function',
  'ipython',
  'function_call',
  'observation',
  'function_response',
];
/** Fields of a message that calls a tool. */
const TOOL_FIELDS = ['tool_calls', 'function_call'] as const;

/** True if a JSON object has the messages field of one of the forms. */
export const isConversation = (object: Readonly<Record<string, unknown>>): boolean =>
  forms.some(({ messages }) => Array.isArray(object[messages]));

/**
 * Reads a conversation from a JSON object.
 *
 * @param fail throws; receives a predicate such as 'has no messages', to which the caller adds a subject
 */
export function readConversation(object: Readonly<Record<string, unknown>>, fail: Refuse): Conversation {
  const form = forms.find(({ messages }) => object[messages] !== undefined);
  if (form === undefined) return fail('has neither "messages" nor "conversations"');
  const list = object[form.messages];
  if (!Array.isArray(list)) return fail(`has "${form.messages}" that are ${shownJson(list)}, not a list`);
  const conversation = list.map((item: unknown, i) =>
    readMessage(item, form, (what) => fail(`has a message ${i + 1} ${what}`)),
  );
  checkOrder(conversation, fail);
  return conversation;
}

function readMessage(item: unknown, form: Form, fail: Refuse): Message {
  if (!isJsonObject(item)) return fail(`that is ${shownJson(item)}, not an object`);
  const [name, content] = [item[form.role], item[form.content]];
  const tool = TOOL_FIELDS.find((field) => item[field] !== undefined && !isNothing(item[field]));
  if (TOOL_ROLES.includes(name) || tool !== undefined)
    return fail(
      `with ${tool === undefined ? `the role ${shownJson(name)}` : `"${tool}"`}: tools are not supported`,
    );
  const role = typeof name === 'string' && Object.hasOwn(form.roles, name) ? form.roles[name] : undefined;
  if (role === undefined)
    return fail(
      `whose "${form.role}" is ${shownJson(name)}, not ${Object.keys(form.roles).slice(0, 3).join(', ')}`,
    );
  const text = typeof content === 'string' ? content : textOfParts(content);
  if (text === undefined) return fail(`whose "${form.content}" is ${shownJson(content)}, not text`);
  if (text.includes('\0')) return fail(`whose "${form.content}" has a NUL character`);
  return { role, content: text.toWellFormed() };
}

const isNothing = (value: unknown): boolean => value === null || (Array.isArray(value) && value.length === 0);

/** The text of content that is a list of text parts; undefined for anything else. */
function textOfParts(content: unknown): string | undefined {
  if (!Array.isArray(content) || content.length === 0) return undefined;
  const texts = content.map((part: unknown) =>
    isJsonObject(part) && part['type'] === 'text' && typeof part['text'] === 'string'
      ? part['text']
      : undefined,
  );
  return texts.includes(undefined) ? undefined : texts.join('');
}

/**
 * Checks the order of roles: an optional system message, then user and assistant in turn. Either may come first, and either
 * may come last.
 */
export function checkOrder(conversation: Conversation, fail: Refuse): void {
  if (conversation.length === 0) fail('has no messages');
  conversation.forEach(({ role }, i) => {
    if (role === 'system' && i > 0)
      fail(`has a system message at position ${i + 1}; only the first message may be one`);
    if (i > 0 && role === conversation[i - 1].role)
      fail(`has two messages of the ${role} in a row, ${i} and ${i + 1}`);
  });
}
