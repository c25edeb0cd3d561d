import { array, assert, constantFrom, nat, property, string } from 'fast-check';
import Papa from 'papaparse';
import { describe, expect, test } from 'vitest';
import { documentFormat, documentsValue, impliedDocuments } from '../../../src/data/documents/format.ts';
import { SeparatedText } from '../../../src/data/documents/separated-text.ts';
import { failure } from '../../fixtures/failure.ts';

const END = '<|end|>';

interface Read {
  readonly documents: readonly string[];
  readonly badLines: number;
}

/** The documents of files that arrive in these chunks. */
function readChunks(
  documents: string,
  files: readonly (readonly string[])[],
  { skipBadLines = false } = {},
): Read {
  const text = new SeparatedText({ format: documentFormat(documents), endOfText: END, skipBadLines });
  let whole = '';
  files.forEach((chunks, i) => {
    const file = text.open(`f${i}`);
    for (const chunk of chunks) whole += file.push(chunk);
    whole += file.end();
  });
  const parts = whole.split(END);
  expect(parts[0]).toBe(''); // every document follows an end
  expect(parts.at(-1)).toBe('');
  expect(text.documents).toBe(parts.length - 2);
  expect(text.added).toBe(END.length * (parts.length - 1));
  return { documents: parts.slice(1, -1), badLines: text.badLines };
}

const documentsOf = (documents: string, ...files: readonly string[]): readonly string[] =>
  readChunks(
    documents,
    files.map((file) => [file]),
  ).documents;

describe('documents of', () => {
  test.each<[name: string, documents: string, text: string, found: readonly string[]]>([
    ['lines', 'lines', 'a\n\n b \r\n  \nc', ['a', ' b ', 'c']],
    ['paragraphs', 'paragraphs', '\na\nb\n\n \n\nc\r\nd\n', ['a\nb', 'c\nd']],
    ['files', 'files', 'a\n\nb\n', ['a\n\nb\n']],
    [
      'a separator, without the line breaks around it',
      '---',
      'a\n---\nb\n\n---\n---\nc d',
      ['a', 'b', 'c d'],
    ],
    ['a separator with escapes', String.raw`\n\n`, 'a\nb\n\nc\n\n\nd', ['a\nb', 'c', 'd']],
    ['JSON lines', 'jsonl', '{"text":"a\\nb"}\n\n{"n":1,"text":"c"}', ['a\nb', 'c']],
    ['a field of JSON lines', 'jsonl:body of it', '{"text":"a","body of it":"b"}', ['b']],
    ['CSV', 'csv', 'id,text\n1,a\n2,"b, ""c""\nd"\n\n3,\n4,e\n', ['a', 'b, "c"\nd', 'e']],
    ['CSV with Windows line ends', 'csv', 'id,text\r\n1,a\r\n2,"b\r\nc"\r\n', ['a', 'b\r\nc']],
    [
      'CSV whose rows end in one way and another',
      'csv',
      'n,text\r\n1,a\n2,"b"\r3,c\r\n4,"d\r"\n',
      ['a', 'b', 'c', 'd\r'],
    ],
    ['CSV of old Macs', 'csv', 'n,text\r1,a\r2,b', ['a', 'b']],
    ['CSV of no rows', 'csv', '', []],
    ['a separator at the end', '---', 'a\n---\n', ['a']],
    ['a separator that begins twice', 'a%%', 'xa%a%%y', ['xa%', 'y']],
    ['a column of TSV', 'csv:b c', 'a\tb c\n1\tx, y\n', ['x, y']],
    ['CSV with semicolons', 'csv', 'a;text\n1,5;x\n', ['x']],
    ['CSV without quotes around a quote', 'csv', 'n,text\n1,5" pipe\n2,b\n', ['5" pipe', 'b']],
  ])('%s', (_name, documents, text, found) => {
    expect(documentsOf(documents, text)).toEqual(found);
  });

  test('several files, each with its own header or end', () => {
    expect(documentsOf('csv', 'text,n\na,1\n', 'n,text\n2,b')).toEqual(['a', 'b']);
    expect(documentsOf('lines', 'a', 'b\n')).toEqual(['a', 'b']);
    expect(documentsOf('files', 'a\n', '', 'b')).toEqual(['a\n', 'b']);
  });

  test.each(['lines', 'paragraphs', 'files', '--', 'jsonl', 'csv'])(
    '%s are the same wherever the text is cut',
    (documents) => {
      const piece = constantFrom('a', 'b ', '\n', '\r\n', '\r', '-', '"', ',', 'text', '{"text":"x"}', '{');
      assert(
        property(array(piece, { maxLength: 30 }), array(nat(60), { maxLength: 5 }), (pieces, cuts) => {
          const text = (documents === 'csv' ? 'n,text\n' : '') + pieces.join('');
          const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length];
          places.sort((a, b) => a - b);
          const chunks = places.slice(1).map((end, i) => text.slice(places[i], end));
          const options = { skipBadLines: true };
          expect(readChunks(documents, [chunks], options)).toEqual(readChunks(documents, [[text]], options));
        }),
        { numRuns: 300, seed: 1 },
      );
    },
  );

  test('CSV are the texts that were written as CSV', () => {
    const cell = string({
      unit: constantFrom('a', ' ', ',', '"', '\n', ';', 'é'),
      minLength: 1,
      maxLength: 8,
    });
    assert(
      property(array(cell, { minLength: 1, maxLength: 8 }), (cells) => {
        const csv = Papa.unparse([['id', 'text'], ...cells.map((text, i) => [i, text])], { newline: '\n' });
        expect(documentsOf('csv', csv)).toEqual(cells);
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe('a bad line', () => {
  test.each<[name: string, documents: string, text: string, mentioned: readonly string[]]>([
    ['that is not JSON', 'jsonl', '{"text":"a"}\n\n{"text"', ['f0:3:', 'JSON']],
    ['without the field', 'jsonl:body', '{"text":"a"}', ['f0:1:', '"body"', 'missing']],
    ['whose field is not text', 'jsonl', '{"text":5}', ['f0:1:', '"text"', '5']],
    ['with a NUL, which no text contains', 'jsonl', String.raw`{"text":"a\u0000b"}`, ['f0:1:', 'NUL']],
    ['with too few fields', 'csv', 'a,text\n1,"x\ny"\n2\n', ['f0:4:', '1 fields', '"text"']],
    ['with an open quote', 'csv', 'a,text\n1,x\n2,"y\nz\n', ['f0:3:', 'quote']],
  ])('%s is named by file and number, or left out', (_name, documents, text, mentioned) => {
    expect(() => documentsOf(documents, text)).toThrow(failure('damaged-file', ...mentioned));
    expect(readChunks(documents, [[text]], { skipBadLines: true }).badLines).toBeGreaterThan(0);
  });

  test('with a quote that is never closed takes the rest of the file with it, which the count tells', () => {
    const csv = 'a,text\n1,x\n2,"y\n3,z\n4,z\n';
    const { documents, badLines } = readChunks('csv', [[csv]], { skipBadLines: true });
    expect([documents, badLines]).toEqual([['x'], 3]);
  });

  test.each([
    ['without the column', 'a,b\n1,2\n', ['f0', '"text"']],
    ['with two such columns', 'text,text\n1,2\n', ['f0', 'several', '"text"']],
  ])('does not excuse a CSV file %s', (_name, text, mentioned) => {
    expect(() => readChunks('csv', [[text]], { skipBadLines: true })).toThrow(
      failure('damaged-file', ...mentioned),
    );
  });
});

describe('a document that no string can hold', () => {
  test.each(['lines', 'paragraphs', 'jsonl', 'csv', '---'])('is an error (%s)', (documents) => {
    const text = new SeparatedText({
      format: documentFormat(documents),
      endOfText: END,
      skipBadLines: true,
    });
    const file = text.open('f0');
    const chunk = 'a '.repeat(2 ** 19);
    const push = (): void => {
      file.push('n,text\n1,"');
      for (let i = 0; i < 600; i++) file.push(chunk);
    };
    expect(push).toThrow(failure('file-too-large', 'f0', '268,435,456'));
  });

  test('is divided in linear time', () => {
    const lines = '\n'.repeat(2 ** 20);
    expect(documentsOf('---', `a${lines}b---`)).toEqual([`a${lines}b`]);
  });
});

describe('the value of --documents', () => {
  test.each(['whole', 'files', 'lines', 'jsonl', 'jsonl:body', 'csv:a b', '---', '%', '<|sep|>', '\n'])(
    'may be %j',
    (value) => {
      expect(documentsValue.read(value)).toBe(value);
    },
  );
  test.each(['', 'line', 'Lines', 'json', 'jsonl:', 'a\0b', 'über'])('may not be %j', (value) => {
    expect(documentsValue.read(value)).toBeUndefined();
  });
});

test.each<[files: readonly string[], documents: string]>([
  [['book.txt'], 'whole'],
  [['-'], 'whole'],
  [['a.txt', 'b.txt'], 'files'],
  [['a.jsonl', 'b.NDJSON'], 'jsonl'],
  [['a.tsv'], 'csv'],
  [['a.csv', 'b.txt'], 'files'],
])('%j imply %s', (files, documents) => {
  expect(impliedDocuments(files)).toBe(documents);
});
