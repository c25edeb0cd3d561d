import { execFileSync } from 'node:child_process';
import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeInParallel } from '../../src/data/parallel-encoding.ts';
import { tokenizerFromJson, tokenizerKinds, tokenizers } from '../../src/tokenizer/registry.ts';
import { openTokenizer } from '../fuzz/seeds.ts';
import { encode, type RareWords, type Tokenizer, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';

const LINES = [
  "It's a whale.\n",
  '\n',
  ' \n\n',
  'ß🐋 x',
  '\r\n',
  '<|endof',
  'text|>\n',
  '  two  ',
  '\ud83d',
  '\udc0b\n',
];
const lines = array(constantFrom(...LINES), { maxLength: 30 });

function learn(kind: TokenizerKind, rareWords: RareWords = 'unk'): Tokenizer {
  const builder = tokenizers[kind].vocabulary({
    minFrequency: rareWords === 'spell' ? 2 : 1,
    rareWords,
    maxSize: kind === 'bpe' ? 280 : undefined,
  });
  builder.push(LINES.slice(0, 4).join(''));
  return builder.end();
}

/** Pieces that come slowly, so that threads have the time to start. */
function* slowly(pieces: readonly string[], milliseconds: number): Generator<string> {
  for (const piece of pieces) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
    yield piece;
  }
}

const flat = (all: Iterable<Uint32Array>): number[] => Array.from(all, (ids) => [...ids]).flat();

describe.each([
  ...tokenizerKinds.map((kind) => ({ name: kind as string, tokenizer: learn(kind) })),
  { name: 'spelling word', tokenizer: learn('word', 'spell') },
])('the $name tokenizer', ({ tokenizer }) => {
  test('may be split at the places it names', () => {
    assert(
      property(lines, lines, (before, after) => {
        const text = before.join('');
        const at = tokenizer.cut(text);
        const rest = text.slice(at) + after.join('');
        expect([...encode(tokenizer, text.slice(0, at)), ...encode(tokenizer, rest)]).toEqual([
          ...encode(tokenizer, text.slice(0, at) + rest),
        ]);
      }),
      { numRuns: 200, seed: 1 },
    );
    expect(tokenizer.cut('one\ntwo \n')).toBe(3);
    expect(tokenizer.cut('one two')).toBe(0);
  });

  test('gives the same ids on several threads', () => {
    const pieces = Array.from({ length: 60 }, (_, i) => LINES[(i * 7) % LINES.length] + LINES[i % 3]);
    const whole = [...encode(tokenizer, pieces.join(''))];
    expect(flat(encodeInParallel(slowly(pieces, 15), tokenizer, { threads: 3, from: 0 }))).toEqual(whole);
    expect(flat(encodeInParallel(pieces, tokenizer, { threads: 1 }))).toEqual(whole);
  });
});

test.each(['llama2', 'llama3', 'bos and eos', 'mistral', 'gpt2 with a space before texts'])(
  'a tokenizer like %s gives the same ids on several threads, with what comes before and after a text',
  (name) => {
    const tokenizer = tokenizerFromJson(openTokenizer(name));
    const pieces = Array.from(
      { length: 60 },
      (_, i) => `${LINES[(i * 7) % LINES.length]}<s>${LINES[i % 3]}x\ny`,
    );
    const whole = [...encode(tokenizer, pieces.join(''))];
    expect(flat(encodeInParallel(slowly(pieces, 5), tokenizer, { threads: 3, from: 0 }))).toEqual(whole);
    expect(flat(encodeInParallel(pieces, tokenizer, { threads: 1 }))).toEqual(whole);
  },
);

test('a text without lines, larger than a block, is encoded as it comes', () => {
  const tokenizer = learn('word');
  const pieces = Array.from({ length: 20 }, () => 'a whale '.repeat(1 << 17));
  let count = 0;
  for (const ids of encodeInParallel(pieces, tokenizer, { threads: 2 })) count += ids.length;
  expect(count).toBe(20 * 2 * (1 << 17) + 1);
});

test('abandoning the ids stops the threads and the reading of the text', () => {
  let stopped = false;
  function* endless(): Generator<string> {
    try {
      for (;;) yield "It's a whale.\n";
    } finally {
      stopped = true;
    }
  }
  for (const ids of encodeInParallel(endless(), learn('word'), { threads: 2, from: 0 }))
    if (ids.length > 0) break;
  expect(stopped).toBe(true);
});

test('one thread encodes everything where no others are allowed', () => {
  const script = `
    import { encodeInParallel } from './dist/data/parallel-encoding.js';
    import { createCharTokenizer } from './dist/tokenizer/char.js';
    const text = 'ab\\nba\\n'.repeat(500);
    const ids = [...encodeInParallel([text, text], createCharTokenizer(['\\n', 'a', 'b']), { threads: 3, from: 0 })];
    console.log(ids.flatMap((part) => [...part]).map((id) => '\\nab'[id]).join('') === text + text);`;
  const flags = ['--permission', '--allow-fs-read=*', '--input-type=module', '--eval', script];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('true\n');
});

test('a special token that contains a line feed is never split', () => {
  const tokenizer = learn('bpe');
  const file = structuredClone(tokenizer.toJSON()) as { added_tokens: object[] };
  file.added_tokens.push({ id: tokenizer.vocabSize, content: 'x\ny', special: true });
  expect(tokenizerFromJson(JSON.stringify(file)).cut('one\ntwo')).toBe(0);
});
