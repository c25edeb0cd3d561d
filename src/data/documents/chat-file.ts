/** Distinguishes files of conversations from other JSON lines. */
import { isConversation } from '../../chat/conversation.ts';
import { statSync } from 'node:fs';
import { attempt } from '../../errors.ts';
import { isJsonObject } from '../../json.ts';
import { fileChunks } from '../file-chunks.ts';

/** In UTF-16 units. A file whose first line is longer is not taken for conversations. */
const LONGEST_LINE = 4e6;

/** Recognizes a file of conversations by its first record. */
export function isChatFile(path: string): boolean {
  const line = attempt(() => (statSync(path).isFile() ? firstLine(path) : undefined)); // a pipe is read once
  if (line === undefined) return false;
  try {
    const record: unknown = JSON.parse(line);
    return isJsonObject(record) && isConversation(record);
  } catch {
    return false;
  }
}

/** The first non-empty line, cut off soon after `LONGEST_LINE`. */
function firstLine(path: string): string {
  const decoder = new TextDecoder();
  let text = '';
  for (const chunk of fileChunks(path)) {
    text = (text + decoder.decode(chunk, { stream: true })).trimStart();
    if (text.includes('\n') || text.length > LONGEST_LINE) break;
  }
  return text.split('\n', 1)[0];
}
