import { checkLength } from './document-sink.ts';

/** Lines of a text that arrives in chunks, without their line breaks (\n or \r\n). */
export interface LineReader {
  push(text: string): void;
  /** After the last chunk. */
  end(): void;
}

/**
 * @param file for messages
 * @param onLine receives each line with its number, from 1
 */
export function lineReader(file: string, onLine: (line: string, number: number) => void): LineReader {
  let carried: string[] = []; // parts of a line that is not complete, joined once
  let units = 0; // of these
  let number = 0;
  const accept = (line: string): void => onLine(line.endsWith('\r') ? line.slice(0, -1) : line, ++number);
  return {
    push(text) {
      let start = 0;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
        accept([...carried, text.slice(start, end)].join(''));
        carried = [];
        units = 0;
        start = end + 1;
      }
      if (start === text.length) return;
      carried.push(text.slice(start));
      checkLength((units += text.length - start), `${file}:${number + 1}`);
    },
    end() {
      if (carried.length > 0) accept(carried.join(''));
      carried = [];
    },
  };
}

/** Number of line breaks, \n, in a part of a text. */
export function lineBreaks(text: string, from = 0, to = text.length): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
