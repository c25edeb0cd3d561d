/**
 * A column of a CSV file (RFC 4180: fields in quotes may contain delimiters, line breaks and doubled quotes). The first row
 * names the columns; the delimiter is the one of `DELIMITERS` that is most frequent in it. Rows may end in \n, \r\n or \r.
 */
import Papa, { type ParseError } from 'papaparse';
import { UserError } from '../../errors.ts';
import { shownJson } from '../../json.ts';
import { optionName } from '../../messages.ts';
import { checkLength, type DocumentSink, type FileReader } from './document-sink.ts';
import { uniformRowEnds } from './csv-row-ends.ts';
import { lineBreaks } from './lines.ts';

/** Single characters without a special meaning in a character class. */
const DELIMITERS = [',', '\t', ';', '|'] as const;

interface Row {
  readonly fields: readonly string[];
  /** Number of its first line, from 1. */
  readonly line: number;
  /** Number of its lines. */
  readonly lines: number;
  readonly error: ParseError | undefined;
}

/** @param column name in the first row */
export function csvReader(column: string, file: string, sink: DocumentSink): FileReader {
  let index: number | undefined; // of the column
  const accept = ({ fields, line, lines, error }: Row): void => {
    if (fields.length === 1 && fields[0] === '') return;
    if (index === undefined) index = columnIndex(fields, column, file);
    else if (error !== undefined)
      sink.bad(line, 'a field has a quote that is not closed or not doubled', lines);
    else if (fields.length <= index)
      sink.bad(line, `it has ${fields.length} fields, and ${shownJson(column)} is field ${index + 1}`);
    else sink.document(fields[index], line);
  };
  return rowReader(file, accept);
}

/** @throws UserError unless one column has this name */
function columnIndex(names: readonly string[], column: string, file: string): number {
  const index = names.indexOf(column);
  const isUnique = index === names.lastIndexOf(column);
  if (index >= 0 && isUnique) return index;
  throw new UserError(
    'damaged-file',
    `${file} has ${isUnique ? 'no column' : 'several columns'} ${shownJson(column)}`,
    {
      hint: `its first row names ${names.slice(0, 8).map(shownJson).join(', ')}: choose one with ${optionName('documents')} csv:COLUMN`,
    },
  );
}

/** Parses rows of a text that arrives in chunks. */
function rowReader(file: string, accept: (row: Row) => void): FileReader {
  let text = ''; // from the first incomplete row
  let line = 1; // number of its first line
  let parseAt = 0; // length at which to parse again, so that a long row is not parsed at every chunk
  let delimiter: string | undefined;
  let rowEnds: ReturnType<typeof uniformRowEnds> | undefined;
  const parse = (isEnd: boolean): void => {
    let from = 0;
    const step = ({ data, errors, meta }: Papa.ParseStepResult<readonly string[]>): void => {
      const to = Math.min(meta.cursor, text.length);
      const breaks = lineBreaks(text, from, to);
      const lines = text[to - 1] === '\n' ? breaks : breaks + 1;
      accept({ fields: data[0] as unknown as readonly string[], line, lines, error: errors[0] });
      line += breaks;
      from = to;
    };
    new Papa.Parser({ delimiter, newline: '\n', step } as Papa.ParseConfig).parse(text, 0, !isEnd);
    text = text.slice(from);
    parseAt = 2 * text.length;
    checkLength(text.length, `${file}:${line}`);
  };
  /** Called once the first line is complete. */
  const start = (): void => {
    delimiter = delimiterOf(text);
    rowEnds = uniformRowEnds(delimiter);
    text = rowEnds.push(text);
  };
  return {
    push(chunk) {
      text += rowEnds?.push(chunk) ?? chunk;
      if (text.length < parseAt) return;
      parseAt = 2 * text.length;
      if (rowEnds === undefined && /[\r\n]/u.test(text)) start();
      if (rowEnds !== undefined) parse(false);
      else checkLength(text.length, `${file}:1`);
    },
    end() {
      if (rowEnds === undefined) start();
      text += rowEnds!.end();
      if (text !== '') parse(true);
    },
  };
}

/** The delimiter that is most frequent in the first line. */
function delimiterOf(text: string): string {
  const [first] = text.split(/[\r\n]/u, 1);
  const counts = DELIMITERS.map((delimiter) => first.split(delimiter).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))];
}
