/** Divides the text of a file into documents, in chunks of any size. */
import type { ChatRenderer, ChatText } from '../../chat/chat-renderer.ts';
import { readConversation } from '../../chat/conversation.ts';
import { parseJsonObject, shownJson } from '../../json.ts';
import { csvReader } from './csv.ts';
import { checkLength, type DocumentSink, type FileReader } from './document-sink.ts';
import type { DocumentFormat } from './format.ts';
import { lineBreaks, lineReader } from './lines.ts';

/**
 * @param file for messages
 * @param renderer of conversations
 */
export function documentReader(
  format: DocumentFormat,
  file: string,
  sink: DocumentSink,
  renderer: () => ChatRenderer,
): FileReader {
  switch (format.kind) {
    case 'lines':
      return lineReader(file, (line, number) => sink.document(line.trim() === '' ? '' : line, number));
    case 'paragraphs':
      return paragraphReader(file, sink);
    case 'jsonl':
      return jsonReader(format.field, file, sink);
    case 'chat':
      return chatReader(renderer(), file, sink);
    case 'csv':
      return csvReader(format.column, file, sink);
    case 'separator':
      return separatedReader(format.text, file, sink);
    case 'whole':
    case 'files':
  }
  return { push: (text) => sink.part(text), end: () => sink.finish() };
}

/** One document per block of lines between blank lines. */
function paragraphReader(file: string, sink: DocumentSink): FileReader {
  let paragraph: string[] = [];
  let units = 0;
  let first = 1;
  const finish = (): void => {
    sink.document(paragraph.join('\n'), first);
    paragraph = [];
    units = 0;
  };
  const lines = lineReader(file, (line, number) => {
    if (line.trim() === '') return finish();
    if (paragraph.push(line) === 1) first = number;
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
  let line = 1; // number of the first line of the parts
  const keep = (part: string): void => {
    parts.push(part);
    checkLength((units += part.length), file);
  };
  const finish = (): void => {
    const text = parts.join('');
    const document = withoutLineBreaksAround(text);
    sink.document(document, line + lineBreaks(text, 0, text.indexOf(document)));
    line += lineBreaks(text) + lineBreaks(separator);
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

/** Takes linear time; a regular expression would be quadratic in runs of line breaks within the text. */
function withoutLineBreaksAround(text: string): string {
  const isBreak = (at: number): boolean => text[at] === '\n' || text[at] === '\r';
  let [start, end] = [0, text.length];
  while (start < end && isBreak(start)) start++;
  while (end > start && isBreak(end - 1)) end--;
  return text.slice(start, end);
}

/** One JSON object per line. */
const jsonReader = (field: string, file: string, sink: DocumentSink): FileReader =>
  recordReader(file, sink, (record, fail, line) => {
    const value = record[field];
    if (typeof value !== 'string') fail(`its ${shownJson(field)} is ${shownJson(value)}, not text`);
    else if (value.includes('\0')) fail('its text has a NUL character');
    else sink.document(value.toWellFormed(), line);
  });

/** One conversation per line. */
const chatReader = (renderer: ChatRenderer, file: string, sink: DocumentSink): FileReader =>
  recordReader(file, sink, (record, fail) => {
    const texts = renderer.texts(readConversation(record, (what) => fail(`it ${what}`)));
    if ('problem' in texts) fail(`${renderer.template.name}: ${texts.problem}`);
    else if (texts.every(({ answers }: ChatText) => answers.length === 0))
      fail('it has no assistant message to train on');
    else texts.forEach((text) => sink.chat(text));
  });

/** @param accept receives the object of each line, a function that refuses it with a reason, and its number */
function recordReader(
  file: string,
  sink: DocumentSink,
  accept: (record: Readonly<Record<string, unknown>>, fail: (why: string) => never, line: number) => void,
): FileReader {
  return lineReader(file, (line, number) => {
    if (line.trim() === '') return;
    const refused: string[] = [];
    const fail = (why: string): never => {
      refused.push(why);
      throw new Error(why);
    };
    try {
      accept(
        parseJsonObject(line, (why) => fail(`it ${why}`)),
        fail,
        number,
      );
    } catch (error) {
      if (refused.length === 0) throw error;
      sink.bad(number, refused[0]);
    }
  });
}
