/**
 * A column of a CSV file (RFC 4180: fields in quotes may contain delimiters, line breaks and doubled quotes). The first row
 * names the columns; the delimiter is the character of `DELIMITERS` that it has most.
 */
import Papa, { type ParseError } from 'papaparse';
import { UserError } from '../../errors.ts';
import { shownJson } from '../../json.ts';
import { optionName } from '../../messages.ts';
import type { DocumentSink, FileReader } from './document-sink.ts';

const DELIMITERS = [',', '\t', ';', '|'] as const;

interface Row {
  readonly fields: readonly string[];
  /** Number of its first line, from 1. */
  readonly line: number;
  readonly error: ParseError | undefined;
}

/** @param column name in the first row */
export function csvReader(column: string, file: string, sink: DocumentSink): FileReader {
  let index: number | undefined; // of the column
  const accept = ({ fields, line, error }: Row): void => {
    if (fields.length === 1 && fields[0] === '') return;
    if (index === undefined) index = columnIndex(fields, column, file);
    else if (error !== undefined) sink.bad(line, 'a field has a quote that is not closed or not doubled');
    else if (fields.length <= index)
      sink.bad(line, `it has ${fields.length} fields, and ${shownJson(column)} is field ${index + 1}`);
    else sink.document(fields[index]);
  };
  return rowReader(accept, () => {
    if (index === undefined) columnIndex([], column, file);
  });
}

/** @throws UserError if no column has this name */
function columnIndex(names: readonly string[], column: string, file: string): number {
  const index = names.indexOf(column);
  if (index >= 0) return index;
  throw new UserError('damaged-file', `${file} has no column ${shownJson(column)}`, {
    hint: `its first row names ${names.slice(0, 8).map(shownJson).join(', ') || 'none'}: choose one with ${optionName('documents')} csv:COLUMN`,
  });
}

/** Parses rows of a text that arrives in chunks. */
function rowReader(accept: (row: Row) => void, atEnd: () => void): FileReader {
  let text = ''; // from the first row that is not complete
  let line = 1; // number of its first line
  let parseAt = 0; // length from which parsing again pays: a long row is not parsed at every chunk
  let form: { readonly delimiter: string; readonly newline: '\n' | '\r\n' } | undefined;
  const parse = (isEnd: boolean): void => {
    form ??= formOf(text);
    let from = 0;
    const step = ({ data, errors, meta }: Papa.ParseStepResult<readonly string[]>): void => {
      accept({ fields: data[0] as unknown as readonly string[], line, error: errors[0] });
      const to = Math.min(meta.cursor, text.length);
      line += lineBreaks(text, from, to);
      from = to;
    };
    new Papa.Parser({ ...form, step } as Papa.ParseConfig).parse(text, 0, !isEnd);
    text = text.slice(from);
    parseAt = 2 * text.length;
  };
  return {
    push(chunk) {
      text += chunk;
      if (text.length >= parseAt && text.includes('\n')) parse(false);
    },
    end() {
      if (text !== '') parse(true);
      atEnd();
    },
  };
}

/** Delimiter and line break of the first line. */
function formOf(text: string): { readonly delimiter: string; readonly newline: '\n' | '\r\n' } {
  const [first] = text.split('\n', 1);
  const counts = DELIMITERS.map((delimiter) => first.split(delimiter).length);
  return {
    delimiter: DELIMITERS[counts.indexOf(Math.max(...counts))],
    newline: first.endsWith('\r') ? '\r\n' : '\n',
  };
}

function lineBreaks(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
