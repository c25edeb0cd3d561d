/** Divides the text of a file into documents, in chunks of any size. */
import { parseJsonObject, shownJson } from '../../json.ts';
import { csvReader } from './csv.ts';
import type { DocumentSink, FileReader } from './document-sink.ts';
import type { DocumentFormat } from './format.ts';
import { lineReader } from './lines.ts';

/** @param file for messages */
export function documentReader(format: DocumentFormat, file: string, sink: DocumentSink): FileReader {
  switch (format.kind) {
    case 'lines':
      return lineReader((line) => sink.document(line.trim() === '' ? '' : line));
    case 'paragraphs':
      return paragraphReader(sink);
    case 'jsonl':
      return jsonReader(format.field, sink);
    case 'csv':
      return csvReader(format.column, file, sink);
    case 'separator':
      return separatedReader(format.text, sink);
    case 'whole':
    case 'files':
  }
  return { push: (text) => sink.part(text), end: () => sink.finish() };
}

/** Lines between blank ones. */
function paragraphReader(sink: DocumentSink): FileReader {
  let paragraph: string[] = [];
  const finish = (): void => {
    sink.document(paragraph.join('\n'));
    paragraph = [];
  };
  const lines = lineReader((line) => {
    if (line.trim() === '') finish();
    else paragraph.push(line);
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
function separatedReader(separator: string, sink: DocumentSink): FileReader {
  let text = '';
  let searched = 0; // no separator starts before
  const finish = (document: string): void => sink.document(document.replace(/^[\r\n]+|[\r\n]+$/gu, ''));
  return {
    push(chunk) {
      text += chunk;
      const parts: string[] = [];
      let start = 0;
      for (
        let at = text.indexOf(separator, searched);
        at >= 0;
        at = text.indexOf(separator, Math.max(start, searched))
      ) {
        parts.push(text.slice(start, at));
        start = at + separator.length;
      }
      parts.forEach(finish);
      text = text.slice(start);
      searched = Math.max(0, text.length - separator.length + 1);
    },
    end: () => finish(text),
  };
}

/** A JSON object a line. */
function jsonReader(field: string, sink: DocumentSink): FileReader {
  return lineReader((line, number) => {
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
