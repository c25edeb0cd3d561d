import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { readConversation, type Conversation } from '../../src/chat/conversation.ts';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const build = () => execFileSync(process.execPath, [path('../../scripts/build-dialogues.js')]);

interface Dialogue {
  readonly messages: Conversation;
  readonly group: string;
}
const read = (file: string): Dialogue[] =>
  readFileSync(path(`../../data/${file}`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Dialogue);

/** As two questions are compared: how they are typed makes no difference. */
const normal = (question: string): string => question.toLowerCase().replaceAll(/[?.!,]/g, '');

let training: Dialogue[];
let heldOut: Dialogue[];
beforeAll(() => {
  build();
  training = read('dialogues.jsonl');
  heldOut = read('dialogues-heldout.jsonl');
});

describe('the dialogues', () => {
  it('are the same bytes on every platform', () => {
    const hash = (file: string) =>
      createHash('sha256')
        .update(readFileSync(path(`../../data/${file}`)))
        .digest('hex');
    // What the accuracies in docs/chat.md were measured on.
    expect({
      training: hash('dialogues.jsonl'),
      heldOut: hash('dialogues-heldout.jsonl'),
    }).toMatchInlineSnapshot(`
      {
        "heldOut": "ac57f43a694166e1ea53a1dd88f0784cad5c46097d3559471f001ecc021fafef",
        "training": "bdd2ea9149c272a6663bc5f1bd6de225cc50f31392c4c01847c2d8b27b1ee8de",
      }
    `);
  });

  it('are left alone by the script if they are there', () => {
    const modified = () => statSync(path('../../data/dialogues.jsonl')).mtimeMs;
    const before = modified();
    build();
    expect(modified()).toBe(before);
  });

  it('are conversations that end with an answer', () => {
    for (const dialogue of [...training, ...heldOut]) {
      const fail = (what: string): never => expect.fail(`${JSON.stringify(dialogue)} ${what}`);
      readConversation(dialogue as unknown as Record<string, unknown>, fail);
      expect(dialogue.messages.at(-1)!.role).toBe('assistant');
    }
  });

  it('give one answer to a question, wherever it is asked first', () => {
    const answers = new Map<string, string>();
    for (const { messages } of [...training, ...heldOut]) {
      if (messages[0].role === 'system') continue;
      const question = normal(messages[0].content);
      expect(answers.get(question) ?? messages[1].content, question).toBe(messages[1].content);
      answers.set(question, messages[1].content);
    }
  });

  it('for training have no question that is held out', () => {
    const asked = training.flatMap(({ messages }) => messages.filter(({ role }) => role === 'user'));
    const known = new Set(asked.map(({ content }) => normal(content)));
    for (const { messages, group } of heldOut) {
      if (messages.length === 2)
        expect(known.has(normal(messages[0].content)), messages[0].content).toBe(false);
      else expect(group).toBe('new follow-up');
    }
    const wordings = new Set(
      training.filter(({ group }) => group === 'follow-up').map(({ messages }) => messages[2].content),
    );
    for (const { messages, group } of heldOut)
      if (group === 'new follow-up') expect(wordings.has(messages[2].content)).toBe(false);
  });

  it('hold out phrasings of facts that are in training, but for subjects that are new', () => {
    const answers = new Set(training.flatMap(({ messages }) => messages.map(({ content }) => content)));
    for (const { messages, group } of heldOut)
      expect(answers.has(messages.at(-1)!.content), group).toBe(true);
  });

  it('say sums that are right', () => {
    const text = [...training, ...heldOut]
      .flatMap(({ messages }) => messages.map(({ content }) => content))
      .join('\n');
    const sums = [...text.matchAll(/^(\d+) plus (\d+) is (\d+)\.$/gm)];
    expect(sums.length).toBeGreaterThan(100);
    for (const [sum, a, b, c] of sums) expect(Number(a) + Number(b), sum).toBe(Number(c));
  });
});
