import { describe, expect, test } from 'vitest';
import { readConversation, type Conversation } from '../../src/chat/conversation.ts';

const read = (object: Readonly<Record<string, unknown>>): Conversation | string => {
  const problems: string[] = [];
  try {
    return readConversation(object, (what) => {
      problems.push(what);
      throw new Error(what);
    });
  } catch (error) {
    if (problems.length === 0) throw error;
    return problems[0];
  }
};

const messages = (...roles: string[]): unknown[] => roles.map((role) => ({ role, content: `of ${role}` }));

describe('a conversation', () => {
  test('has messages with roles', () => {
    const object = { messages: messages('system', 'user', 'assistant'), source: 'elsewhere' };
    expect(read(object)).toEqual(object.messages);
  });

  test('may be in the form of ShareGPT', () => {
    expect(
      read({
        id: '1',
        conversations: [
          { from: 'system', value: 'S' },
          { from: 'human', value: 'Q' },
          { from: 'gpt', value: 'A' },
        ],
      }),
    ).toEqual([
      { role: 'system', content: 'S' },
      { role: 'user', content: 'Q' },
      { role: 'assistant', content: 'A' },
    ]);
  });

  test('may have contents in parts of text, fields without meaning, and calls of no tools', () => {
    const content = [
      { type: 'text', text: 'One ' },
      { type: 'text', text: 'two' },
    ];
    expect(
      read({ messages: [{ role: 'user', content, name: 'Ann', tool_calls: null, function_call: null }] }),
    ).toEqual([{ role: 'user', content: 'One two' }]);
    expect(read({ messages: [{ role: 'assistant', content: 'A', tool_calls: [] }] })).toHaveLength(1);
  });

  test('may begin and end with either side', () => {
    expect(read({ messages: messages('assistant', 'user') })).toHaveLength(2);
    expect(read({ messages: messages('system', 'assistant') })).toHaveLength(2);
  });

  test('has half surrogates replaced, which no encoding has', () => {
    expect(read({ messages: [{ role: 'user', content: 'a\ud800' }] })).toEqual([
      { role: 'user', content: 'a\ufffd' },
    ]);
  });

  test.each([
    ['no messages', { text: 'Hi' }, 'neither "messages" nor "conversations"'],
    ['an empty list', { messages: [] }, 'has no messages'],
    ['no list', { messages: 'Hi' }, '"messages" that are "Hi", not a list'],
    ['a message that is no object', { messages: ['Hi'] }, 'message 1 that is "Hi"'],
    [
      'a role of tools',
      { messages: [...messages('user'), { role: 'tool', content: '4' }] },
      'message 2 with the role "tool": tools are not supported',
    ],
    [
      'a role of tools in the form of ShareGPT',
      { conversations: [{ from: 'function_call', value: '{}' }] },
      'message 1 with the role "function_call": tools',
    ],
    [
      'a call of a tool',
      { messages: [{ role: 'assistant', content: null, tool_calls: [{ id: 1 }] }] },
      'message 1 with "tool_calls": tools',
    ],
    [
      'an unknown role',
      { messages: messages('bot') },
      'message 1 whose "role" is "bot", not system, user, assistant',
    ],
    ['a role by the name of a property', { messages: messages('constructor') }, '"role" is "constructor"'],
    ['a content that is no text', { messages: [{ role: 'user', content: 7 }] }, '"content" is 7, not text'],
    [
      'a picture',
      { messages: [{ role: 'user', content: [{ type: 'image', url: 'a.png' }] }] },
      'message 1 whose "content" is [{"type":"image"',
    ],
    ['a NUL character', { messages: [{ role: 'user', content: 'a\0' }] }, 'NUL character'],
    ['a late system message', { messages: messages('user', 'system') }, 'a system message at position 2'],
    [
      'one side twice',
      { messages: messages('user', 'assistant', 'assistant') },
      'two messages of the assistant in a row, 2 and 3',
    ],
  ])('is refused if it has %s', (_, object, problem) => {
    expect(read(object)).toContain(problem);
  });
});
