import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCorpus } from '../../src/data/corpus.ts';
import { decodeText, startDecoding, type DecodingOptions } from '../../src/data/decode-text.ts';
import {
  canonicalEncoding,
  encodingNames,
  requireEncoding,
  similarEncoding,
} from '../../src/data/encodings.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'encodings-'));
const file = (name: string, content: Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

/** Decodes the bytes in chunks of 1, 2, 3 … bytes, which must all give the same. */
function decode(bytes: Uint8Array, options: DecodingOptions): { text: string; replaced: number } {
  const results = Array.from(bytes, (_, i) => {
    const chunks = Array.from({ length: Math.ceil(bytes.length / (i + 1)) }, (_chunk, k) =>
      bytes.subarray(k * (i + 1), (k + 1) * (i + 1)),
    );
    const decoding = startDecoding('in.txt', options);
    return { text: [...decodeText(chunks, decoding)].join(''), replaced: decoding.replaced };
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0];
}
const utf16be = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

// Bytes as Python's codecs write them.
test.each([
  ['latin1', Buffer.from('caf\xe9', 'latin1'), 'café'],
  ['windows-1252', Buffer.from([0x80, 0x20, 0x35]), '€ 5'],
  ['shift_jis', Buffer.from('94e9835c955c94e9', 'hex'), '秘ソ表秘'],
  ['euc-jp', Buffer.from('c7ad', 'hex'), '猫'],
  ['iso-2022-jp', Buffer.from('1b2442472d1b284261', 'hex'), '猫a'],
  ['gb18030', Buffer.from('61 9532 8236 ba a3 9532 8236'.replaceAll(' ', ''), 'hex'), 'a𠀀海𠀀'],
  ['big5', Buffer.from('aefc', 'hex'), '海'],
  ['koi8-r', Buffer.from('edc9d2', 'hex'), 'Мир'],
  ['utf-16le', Buffer.from('a猫𠀀', 'utf16le'), 'a猫𠀀'],
  ['utf-16be', utf16be('a猫𠀀'), 'a猫𠀀'],
  ['utf-8', Buffer.from('a猫𠀀'), 'a猫𠀀'],
])('%s is decoded the same wherever it is cut', (label, bytes, text) => {
  expect(decode(bytes, { encoding: requireEncoding(label) })).toEqual({ text, replaced: 0 });
});

test('a byte order mark takes precedence over the encoding named', () => {
  expect(decode(Buffer.from('\ufeffé'), { encoding: 'shift_jis' }).text).toBe('é');
  expect(decode(utf16be('\ufeffé'), { encoding: 'utf-16le' }).text).toBe('é');
});

test('a line is complete with its last byte: only a possible byte order mark is held back', () => {
  const pushes = (options: DecodingOptions, ...chunks: readonly Uint8Array[]): string[] => {
    const decoding = startDecoding('stdin', options);
    return chunks.map((chunk) => decoding.push(chunk));
  };
  expect(pushes({}, Buffer.from('a'), Buffer.from('\n'))).toEqual(['a', '\n']);
  expect(pushes({}, Buffer.of(0xff), Buffer.of(0xfe, 0x61, 0, 0x0a, 0))).toEqual(['', 'a\n']);
  expect(pushes({}, Buffer.of(0xef), Buffer.of(0xbb), Buffer.of(0xbf), Buffer.from('é\n'))).toEqual([
    '',
    '',
    '',
    'é\n',
  ]);
  expect(pushes({ encoding: 'gb18030' }, Buffer.of(0xba), Buffer.of(0xa3, 0x0a))).toEqual(['', '海\n']);
  const decoding = startDecoding('in.txt', { encoding: 'windows-1252' });
  expect(decoding.push(Buffer.of(0xef)) + decoding.end()).toBe('ï');
});

describe('replaced characters', () => {
  const replace = (bytes: Uint8Array, encoding?: string) =>
    decode(bytes, { encoding, encodingErrors: 'replace' });
  test('are counted, except U+FFFD in the text itself', () => {
    expect(replace(Buffer.from('caf\xe9 \xe9', 'latin1'))).toMatchObject({ replaced: 2 });
    expect(replace(Buffer.from('\ufffd café'))).toEqual({ text: '\ufffd café', replaced: 0 });
    expect(replace(Buffer.from('a\0b'))).toEqual({ text: 'a\ufffdb', replaced: 1 });
    expect(replace(Buffer.from('\ufffda\ud800b', 'utf16le'), 'utf-16le').replaced).toBe(1);
    expect(replace(Buffer.from([0x61, 0xff, 0x62]), 'shift_jis').replaced).toBe(1);
  });
  test('are a fact of the corpus, of all its files', () => {
    const paths = [
      file('a.txt', Buffer.from('caf\xe9 \xe9', 'latin1')),
      file('b.txt', Buffer.from('\xe9', 'latin1')),
    ];
    const corpus = openCorpus(paths, { encodingErrors: 'replace' });
    for (const _ of corpus.text());
    expect(corpus.facts).toMatchObject({ replaced: 3, characters: 8 });
  });
});

test('invalid bytes are an error that says where they are, and names options that the caller has', () => {
  const thrownBy = (bytes: Uint8Array, options: DecodingOptions): unknown => {
    try {
      return [...decodeText([bytes], startDecoding('in.txt', options))];
    } catch (error) {
      return error;
    }
  };
  const e = Buffer.from('\xe9 a', 'latin1');
  const hints = [
    [{}, 'convert the text to UTF-8 (`iconv -f latin1 -t utf-8`)'],
    [{ encoding: 'utf-8' }, 'specify the encoding of the text, such as encoding latin1'],
    [
      { encoding: 'utf-8', encodingErrors: 'strict' },
      'specify the encoding of the text, such as encoding latin1, or use encodingErrors replace',
    ],
  ] as const;
  for (const [options, hint] of hints)
    expect(thrownBy(e, options)).toMatchObject({ message: 'in.txt: byte 0 is not valid UTF-8', hint });
  expect(thrownBy(Buffer.from([0x61, 0x0a, 0xff, 0x0a]), { encoding: 'shift_jis' })).toMatchObject({
    message: 'in.txt: line 2 has bytes that are not valid shift_jis',
  });
  expect(thrownBy(Buffer.from([0x61, 0xfc]), { encoding: 'iso-8859-8' })).toMatchObject({
    message: 'in.txt: byte 1 is not valid iso-8859-8',
  });
});

test('surrogate pairs of GB 18030 are counted as one character', () => {
  const corpus = openCorpus([file('gb.txt', Buffer.from('95328236', 'hex'))], { encoding: 'gb18030' });
  for (const _ of corpus.text());
  expect(corpus.facts.characters).toBe(1);
});

test('files of a folder are text in the encoding named', () => {
  const root = mkdtempSync(join(tmpdir(), 'utf16-'));
  writeFileSync(join(root, 'a.txt'), Buffer.from('The sea.\n', 'utf16le'));
  writeFileSync(join(root, 'b.png'), Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'));
  for (const encodingErrors of ['strict', 'replace'] as const) {
    const corpus = openCorpus([root], { encoding: 'utf-16le', encodingErrors });
    expect([...corpus.text()].join('')).toBe('The sea.\n');
    expect(corpus.leftOut).toEqual({ binary: 1 });
  }
});

describe('labels', () => {
  test('of one encoding have one canonical name', () => {
    expect(['latin1', 'ISO-8859-1', 'windows-1252', 'utf8', 'UTF-16'].map(canonicalEncoding)).toEqual([
      'windows-1252',
      'windows-1252',
      'windows-1252',
      'utf-8',
      'utf-16le',
    ]);
    expect(encodingNames().length).toBeGreaterThan(35);
  });
  test.each([
    ['latin-1', 'latin1'],
    ['utf16', 'utf-16'],
    ['mac-roman', 'macintosh'],
    ['macroman', 'macintosh'],
    ['shift-jis-2', undefined],
    ['cp437', undefined],
    ['cp850', undefined],
  ])('%s is unknown; %s is suggested', (label, meant) => {
    expect(similarEncoding(label)).toBe(meant);
    const hint = meant === undefined ? /^known are utf-8, .* iconv$/ : `did you mean ${meant}?`;
    expect(() => requireEncoding(label)).toThrow(failure('bad-option-value', `"${label}"`));
    try {
      requireEncoding(label);
    } catch (error) {
      expect((error as { hint: string }).hint).toMatch(hint);
    }
  });
});
