/**
 * The model card of a folder, README.md. Its last line holds a checksum of the rest, which distinguishes a card that may be
 * replaced from one that was edited or written by someone else.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { attempt } from '../errors.ts';
import { readTextFile } from '../read-file.ts';
import { writeFileAtomic, type FileWriter } from '../write-file.ts';
import { sha256 } from './trainer-state.ts';

export const CARD = 'README.md';

/** In bytes. A card has a few kilobytes; one that was edited may have more. */
const LARGEST = 1e6;

/** An HTML comment, which is not rendered. */
const marked = (text: string): string =>
  `${text}\n<!-- gpt_trainer_card ${sha256(text)}: gpt replaces this file unless it was edited -->\n`;
const MARK = /\n<!-- gpt_trainer_card [0-9a-f]{64}: .* -->\n/;

/** The text of a card that this program wrote, edited or not; undefined for any other README.md, or none. */
export function readCard(folder: string): string | undefined {
  const text = attempt(() => readTextFile(join(folder, CARD), LARGEST));
  return text !== undefined && MARK.test(text) ? text.replace(MARK, '') : undefined;
}

/** True for a README.md that this program wrote and nobody has edited. */
export const isOwnCard = (path: string): boolean => {
  const text = attempt(() => readTextFile(path, LARGEST));
  return text !== undefined && text === marked(text.replace(MARK, ''));
};

/** Writes the card of a folder, unless it has a README.md that is not ours or was edited. */
export function writeCard(folder: string, text: string, write: FileWriter = writeFileAtomic): void {
  const path = join(folder, CARD);
  if (!existsSync(path) || isOwnCard(path)) write(path, [marked(text)]);
}
