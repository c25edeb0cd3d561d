// Writes the dialogues of the README's chat model: data/dialogues.jsonl for training, and data/dialogues-heldout.jsonl with
// phrasings that are not in it. All of their content is in scripts/dialogues/ (MIT, like the rest of the project).
//
// Each line is an object with "messages", and "group": what the conversation is about or, in the held-out file, what is new
// in it. The same bytes on every machine.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { families, shortSystem } from './dialogues/families.js';
import {
  newUnknownQuestions,
  project,
  smallTalk,
  terms,
  unknownAnswer,
  unknownQuestions,
} from './dialogues/project.js';

/** Numerical Recipes' linear congruential generator: a whole number below n. */
let state = 1;
function random(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}
const oneOf = (list) => list[random(list.length)];

const message = (role, content) => ({ role, content });
const turn = (question, answer) => [message('user', question), message('assistant', answer)];

/** A question in lower case without a final mark, as many people type. */
const typed = (question) => question.toLowerCase().replace(/[?.!]$/, '');

const article = (noun) => (/^[aeiou]/.test(noun) ? 'an' : 'a');
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** A template of scripts/dialogues/families.js with its blanks filled. */
function filled(template, [x, y, more = {}]) {
  const values = { x, y, X: capital(x), ...more };
  return template
    .replaceAll(
      /\{(a|A) (\w+)\}/g,
      (_, a, name) => `${a === 'A' ? capital(article(values[name])) : article(values[name])} {${name}}`,
    )
    .replaceAll(/\{(\w+)\}/g, (_, name) => values[name]);
}

const training = [];
const heldOut = [];
const train = (group, messages) => training.push({ messages, group });
const hold = (group, messages) => heldOut.push({ messages, group });
/** Questions with their answers, for conversations of several turns. */
const known = [];

for (const [answer, ...questions] of [...project, ...terms, ...smallTalk]) {
  const last = questions.pop();
  for (const question of questions) {
    train('single', turn(question, answer));
    train('single', turn(typed(question), answer));
    known.push([question, answer]);
  }
  hold('new wording', turn(last, answer));
}

for (const question of unknownQuestions) {
  train('unknown', turn(question, unknownAnswer));
  train('unknown', turn(typed(question), unknownAnswer));
}
for (const question of newUnknownQuestions) hold('new subject', turn(question, unknownAnswer));

for (const { name, items, ask, answer, again } of families) {
  const phrasings = ask.slice(0, -1);
  /** True if phrasing `p` of item `i` is held out. */
  const isLeftOut = (i, p) => p === i % phrasings.length || p === (i + 3) % phrasings.length;
  const trainedOf = (i) => phrasings.filter((_, p) => !isLeftOut(i, p));
  items.forEach((item, i) => {
    const reply = filled(answer, item);
    phrasings.forEach((phrasing, p) => {
      const question = filled(phrasing, item);
      if (isLeftOut(i, p)) hold('wording of others', turn(question, reply));
      else {
        train(name, turn(random(3) === 0 ? typed(question) : question, reply));
        known.push([question, reply]);
      }
    });
    hold('new wording', turn(filled(ask.at(-1), item), reply));
    train('short', [message('system', shortSystem), ...turn(filled(oneOf(trainedOf(i)), item), item[1])]);
    // Another item, then this one in a few words.
    const followUp = (wording) => {
      const before = (i + 1 + random(items.length - 1)) % items.length;
      const first = turn(filled(oneOf(trainedOf(before)), items[before]), filled(answer, items[before]));
      return [...first, ...turn(filled(wording, item), reply)];
    };
    for (let n = 0; n < 2; n++) train('follow-up', followUp(oneOf(again.slice(0, -1))));
    hold('new follow-up', followUp(again.at(-1)));
  });
}

// Conversations about this and that, with a greeting or thanks.
const [greeting, thanks] = smallTalk;
for (let i = 0; i < 600; i++) {
  const turns = Array.from({ length: 2 + random(2) }, () => oneOf(known));
  if (random(3) === 0) turns.unshift([oneOf(greeting.slice(1, -1)), greeting[0]]);
  if (random(3) === 0) turns.push([oneOf(thanks.slice(1, -1)), thanks[0]]);
  train(
    'several turns',
    turns.flatMap(([question, answer]) => turn(question, answer)),
  );
}

function write(name, conversations) {
  const target = fileURLToPath(new URL(`../data/${name}`, import.meta.url));
  const text = conversations.map((conversation) => `${JSON.stringify(conversation)}\n`).join('');
  if (existsSync(target) && readFileSync(target, 'utf8') === text) return;
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, target);
}

write('dialogues.jsonl', training);
write('dialogues-heldout.jsonl', heldOut);
