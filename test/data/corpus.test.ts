import { array, assert, nat, property, string } from 'fast-check';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { openCorpus } from '../../src/data/corpus.ts';
import { decodeText, startDecoding } from '../../src/data/decode-text.ts';
import { sortedLines } from '../../src/data/sorted-lines.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'corpus-'));
let files = 0;
function file(content: string | Uint8Array, name = `f${files++}.txt`): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const read = (...paths: string[]): string =>
  [...openCorpus(paths, { encodingErrors: 'strict' }).text()].join('');
const utf16 = (text: string, swap: boolean): Buffer => {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return swap ? bytes.swap16() : bytes;
};

describe('decoding', () => {
  const everywhere = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
    const places = [0, ...cuts.map((c) => Math.min(c, bytes.length)).sort((a, b) => a - b), bytes.length];
    return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
  };
  test('is the same wherever the bytes are cut, in every encoding', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 20 }), array(nat(40), { maxLength: 5 }), (raw, cuts) => {
        const text = raw.replaceAll('\0', 'x').replace(/^\ufeff+/, '');
        for (const bytes of [
          Buffer.from(text),
          Buffer.from(`\ufeff${text}`),
          utf16(text, false),
          utf16(text, true),
        ])
          expect([...decodeText(everywhere(bytes, cuts), startDecoding('x'))].join('')).toBe(text);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  test.each([
    ['a Latin-1 é', Buffer.from('caf\xe9 noir', 'latin1'), failure('not-text', 'byte 3', 'UTF-8')],
    ['an overlong sequence', Buffer.from([0x61, 0xc0, 0x80]), failure('not-text', 'byte 1', 'UTF-8')],
    ['a surrogate in UTF-8', Buffer.from([0xed, 0xa0, 0x80]), failure('not-text', 'byte 0', 'UTF-8')],
    [
      'a sequence cut by the end',
      Buffer.from([0x61, 0x62, 0x63, 0xe2, 0x82]),
      failure('not-text', 'byte 3', 'UTF-8'),
    ],
    ['beyond Unicode', Buffer.from([0x61, 0xf4, 0x90, 0x80, 0x80]), failure('not-text', 'byte 1', 'UTF-8')],
    [
      'a lone half in UTF-16',
      Buffer.from([0xff, 0xfe, 0x61, 0, 0, 0xd8, 0x61, 0]),
      failure('not-text', 'byte 4', 'UTF-16LE'),
    ],
    [
      'an odd byte in UTF-16',
      Buffer.from([0xff, 0xfe, 0x61, 0, 0x62]),
      failure('not-text', 'byte 4', 'UTF-16LE'),
    ],
    ['a NUL', Buffer.from('abc\0def'), failure('not-text', 'byte 3')],
    ['UTF-16 without a mark', Buffer.from('abc', 'utf16le'), failure('not-text', 'byte 1')],
  ])('refuses %s, and says where', (_name, bytes, expected) => {
    for (let size = 1; size <= bytes.length; size++) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      const decode = (encodingErrors: 'strict' | 'replace') =>
        [...decodeText(chunks, startDecoding('in.txt', { encodingErrors }))].join('');
      expect(() => decode('strict')).toThrow(expected);
      expect(decode('replace')).toContain('\ufffd');
    }
  });
});

test('a file with NULs is not text, whatever else is wrong with it', () => {
  const image = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1');
  expect(() => read(file(image))).toThrow(failure('not-text', 'byte 8'));
});

/** An order that is none, the same each time. */
const hash = (text: string): number => createHash('sha256').update(text).digest().readUInt32LE();

describe('a corpus', () => {
  test('concatenates files, and counts their bytes and characters', () => {
    const corpus = openCorpus([file('ab\r\n'), file('c🐋')], { encodingErrors: 'strict' });
    expect([...corpus.text()].join('')).toBe('ab\r\nc🐋');
    expect(corpus.facts).toMatchObject({ bytes: 9, characters: 6, crlf: true });
    expect([...corpus.text()].join('')).toBe('ab\r\nc🐋'); // again
    expect(corpus.facts.bytes).toBe(9);
  });
  test('counts characters, however a JSON line writes them', () => {
    const corpus = openCorpus([file('{"text":"a\\ud83d\\udc0b"}\n{"text":"b🐋"}')], { documents: 'jsonl' });
    for (const _ of corpus.text());
    expect(corpus.facts).toMatchObject({ characters: 4, documentCount: 2 });
  });
  test('may be one line that no string can hold', () => {
    const lines = sortedLines();
    const piece = 'a'.repeat(2 ** 20);
    for (let i = 0; i < 600; i++) lines.push(piece);
    expect(lines.isSorted()).toBe(false);
  });
  test('reports the share of its bytes that has been read, and in which pass', () => {
    const reports: unknown[] = [];
    const corpus = openCorpus([file('abc'), file('d\n')], { encodingErrors: 'strict' }, (...report) =>
      reports.push(report),
    );
    for (const _ of corpus.text('tokenizing'));
    expect(reports).toEqual([
      ['tokenizing', 3 / 5],
      ['tokenizing', 4 / 5], // a line break between the two
      ['tokenizing', 6 / 5],
    ]);
    for (const _ of corpus.text());
    expect(reports.slice(3)).toEqual([3, 4, 6].map((bytes) => ['reading the text', bytes / 6]));
  });
  test('puts a line break between files where the first does not end with one', () => {
    const paths = [file(''), file('the sea'), file(''), file('whale\r'), file('x\n'), file('end')];
    const corpus = openCorpus(paths, { encodingErrors: 'strict' });
    const text = 'the sea\nwhale\rx\nend';
    expect([...corpus.text()].join('')).toBe(text);
    // The hash is that of the text as one file, so that the run of one resumes with the other.
    const whole = openCorpus([file(text)], { encodingErrors: 'strict' });
    for (const _ of whole.text());
    expect(corpus.facts).toEqual(whole.facts);
  });
  test('is refused if it is empty or a folder without text', () => {
    expect(() => read(file(''))).toThrow(failure('empty-text'));
    expect(() => read(file(Buffer.from([0xef, 0xbb, 0xbf])))).toThrow(failure('empty-text'));
    mkdirSync(join(folder, 'none'));
    expect(() => read(join(folder, 'none'))).toThrow(failure('empty-text'));
    expect(() => read(join(folder, 'missing.txt'))).toThrow('ENOENT');
  });
  test('detects a sorted list', () => {
    const isSorted = (lines: readonly string[]): boolean => {
      const corpus = openCorpus([file(lines.join('\n'))], { encodingErrors: 'strict' });
      for (const _ of corpus.text());
      return corpus.facts.isSorted;
    };
    const syllables = ['ba', 'ce', 'di', 'Fo', 'gu', 'ka'];
    const names = syllables.flatMap((a) => syllables.flatMap((b) => syllables.map((c) => a + b + c)));
    const shuffled = [...names].sort((a, b) => hash(a) - hash(b));
    expect(isSorted([...names].sort())).toBe(true);
    expect(isSorted([...names].sort((a, b) => a.localeCompare(b, 'en')))).toBe(true);
    expect(isSorted([...names].sort().flatMap((name) => [name, '', name]))).toBe(true);
    expect(isSorted(shuffled)).toBe(false);
    expect(isSorted(names.sort().slice(0, 99))).toBe(false);
    expect(isSorted([...names.slice(0, 100), ...shuffled.slice(0, 4)])).toBe(false);
    expect(isSorted(Array<string>(500).fill('the same line'))).toBe(false);
    expect(isSorted('a b '.repeat(200).split(' '))).toBe(false);
    expect(isSorted(names.map((name, i) => `${1000 + i} ${name}`))).toBe(false); // numbered, not sorted
  });
  test.skipIf(process.platform === 'win32')(
    'reads a pipe once, keeps it, and no more than there is room for',
    () => {
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      spawn('sh', ['-c', `for i in 1 2 3; do echo line $i; done > '${pipe}'`]);
      const shares = new Set<number | undefined>();
      const corpus = openCorpus([pipe], { encodingErrors: 'strict' }, (_, done) => shares.add(done));
      expect([...corpus.text()].join('')).toBe('line 1\nline 2\nline 3\n');
      expect([...shares]).toEqual([undefined]); // how long it is, is known the second time
      expect([...corpus.text()].join('')).toBe('line 1\nline 2\nline 3\n');
      expect([...shares].at(-1)).toBe(1);
      const memory = vi.spyOn(process, 'constrainedMemory').mockReturnValue(4e6);
      spawn('sh', ['-c', `yes 'a line' > '${pipe}'`]);
      expect(() => read(pipe)).toThrow(failure('file-too-large', pipe, '1'));
      memory.mockRestore();
    },
  );
});
