// Measures how many of a chat model's answers are identical to those in a file of conversations:
//
//     node scripts/chat-accuracy.js checkpoints/dialogues-1 data/dialogues-heldout.jsonl [options of gpt chat]
//
// `gpt chat` answers the last message of each conversation, in a new chat. If the file has "group", the share of each group
// is printed too. `--wrong` prints the answers that differ.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [model, file, ...rest] = process.argv.slice(2);
if (model === undefined || file === undefined) {
  process.stderr.write(
    'usage: node scripts/chat-accuracy.js MODEL CONVERSATIONS.jsonl [--wrong] [options of gpt chat]\n',
  );
  process.exit(2);
}
const showsWrong = rest.includes('--wrong');
const options = rest.filter((option) => option !== '--wrong');

const conversations = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const gpt = fileURLToPath(new URL('../bin/gpt.js', import.meta.url));
const child = spawn(process.execPath, [gpt, 'chat', model, '--json', '--quiet', ...options], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

/** Sends a message as `gpt chat` reads it: one line, with \n for a line break. */
const send = (line) => child.stdin.write(`${line.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`);

async function answerTo(message) {
  send(` ${message}`); // the space keeps a leading slash from being read as a command
  const { value, done } = await lines.next();
  if (done) throw new Error('gpt chat has ended');
  const { assistant, error } = JSON.parse(value);
  return assistant ?? `(${error.message})`;
}

const groups = new Map();
for (const { messages, group = 'all' } of conversations) {
  const system = messages.find(({ role }) => role === 'system');
  send('/new');
  send(`/system ${system?.content ?? ''}`);
  const asked = messages.filter(({ role }) => role === 'user');
  let answer;
  for (const { content } of asked) answer = await answerTo(content);
  const expected = messages.at(-1).content;
  const counts = groups.get(group) ?? { exact: 0, all: 0 };
  counts.all++;
  if (answer === expected) counts.exact++;
  else if (showsWrong)
    process.stdout.write(
      `${group}: ${asked.at(-1).content}\n  expected  ${expected}\n  answered  ${answer}\n`,
    );
  groups.set(group, counts);
}
child.stdin.end();

const rows = [...groups].map(([group, { exact, all }]) => [group, exact, all]);
if (rows.length > 1) {
  const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
  rows.push(['all', sum(1), sum(2)]);
}
for (const [group, exact, all] of rows)
  process.stdout.write(
    `${group.padEnd(20)}${String(exact).padStart(6)} of ${all}  ${((100 * exact) / all).toFixed(1)}%\n`,
  );
