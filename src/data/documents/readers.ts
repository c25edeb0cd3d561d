/** Divides the text of a file into documents, in chunks of any size. */
import { parseJsonObject, shownJson } from '../../json.ts';
import { csvReader } from './csv.ts';
import { checkLength, type DocumentSink, type FileReader } from './document-sink.ts';
import type { DocumentFormat } from './format.ts';
import { lineReader } from './lines.ts';

/** @param file for messages */
export function documentReader(format: DocumentFormat, file: string, sink: DocumentSink): FileReader {
  switch (format.kind) {
    case 'lines':
      return lineReader(file, (line) => sink.document(line.trim() === '' ? '' : line));
    case 'paragraphs':
      return paragraphReader(file, sink);
    case 'jsonl':
      return jsonReader(format.field, file, sink);
    case 'csv':
      return csvReader(format.column, file, sink);
    case 'separator':
      return separatedReader(format.text, file, sink);
    case 'whole':
    case 'files':
  }
  return { push: (text) => sink.part(text), end: () => sink.finish() };
}

/** Lines between blank ones. */
function paragraphReader(file: string, sink: DocumentSink): FileReader {
  let paragraph: string[] = [];
  let units = 0;
  const finish = (): void => {
    sink.document(paragraph.join('\n'));
    paragraph = [];
    units = 0;
  };
  const lines = lineReader(file, (line, number) => {
    if (line.trim() === '') return finish();
    paragraph.push(line);
    checkLength((units += line.length + 1), `${file}:${number}`);
  });
  return {
    push: (text) => lines.push(text),
    end() {
      lines.end();
      finish();
    },
  };
}

/** Text between separators, without the line breaks around it. */
function separatedReader(separator: string, file: string, sink: DocumentSink): FileReader {
  let parts: string[] = []; // of the document, joined once
  let units = 0;
  let tail = ''; // end of the text so far, in which a separator may begin
  const keep = (part: string): void => {
    parts.push(part);
    checkLength((units += part.length), file);
  };
  const finish = (): void => {
    sink.document(withoutLineBreaksAround(parts.join('')));
    parts = [];
    units = 0;
  };
  return {
    push(chunk) {
      const text = tail + chunk;
      let start = 0;
      for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, start)) {
        keep(text.slice(start, at));
        finish();
        start = at + separator.length;
      }
      const end = Math.max(start, text.length - separator.length + 1);
      keep(text.slice(start, end));
      tail = text.slice(end);
    },
    end() {
      keep(tail);
      finish();
    },
  };
}

/** In linear time, which a regular expression would not take of line breaks inside. */
function withoutLineBreaksAround(text: string): string {
  const isBreak = (at: number): boolean => text[at] === '\n' || text[at] === '\r';
  let [start, end] = [0, text.length];
  while (start < end && isBreak(start)) start++;
  while (end > start && isBreak(end - 1)) end--;
  return text.slice(start, end);
}

/** A JSON object a line. */
function jsonReader(field: string, file: string, sink: DocumentSink): FileReader {
  return lineReader(file, (line, number) => {
    if (line.trim() === '') return;
    const text = fieldOf(line, field);
    if (typeof text === 'string') sink.document(text);
    else sink.bad(number, text.why);
  });
}

function fieldOf(line: string, field: string): string | { readonly why: string } {
  const refused: { why: string }[] = [];
  try {
    const object = parseJsonObject(line, (why) => {
      refused.push({ why: `it ${why}` });
      throw new Error(why);
    });
    const value = object[field];
    if (typeof value === 'string')
      return value.includes('\0') ? { why: 'its text has a NUL character' } : value.toWellFormed();
    return { why: `its ${shownJson(field)} is ${shownJson(value)}, not text` };
  } catch (error) {
    if (refused.length > 0) return refused[0];
    throw error;
  }
}
